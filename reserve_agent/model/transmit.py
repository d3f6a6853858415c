"""Pages of a TCP write queue.

The queue packs its bytes into whole pages, as the kernel's sk_page_frag does, and keeps them
until they are acknowledged: pages held = ceil(end / 4096) - floor(una / 4096).

A segment that goes out brings to account what waits behind it in the queue as well: the sender
took those pages when it wrote, before there was a segment to see (tcp_sendmsg).
"""

from __future__ import annotations

from dataclasses import dataclass

from reserve_agent.contract.packets import PAGE_BYTES, PacketClass
from reserve_agent.model.packet import Segment
from reserve_agent.model.policies import Rules, reader_runs
from reserve_agent.model.pool import Pool
from reserve_agent.model.profiles.kernel import Flags, Kernel, Request
from reserve_agent.model.sockets import Socket

_WRAP = 1 << 32
MARGIN = 16
"""Pages that others may take between a look at the pool and its lock."""


def stream_pages(end: int, una: int) -> int:
    """Pages that hold the bytes from ``una`` up to ``end``."""
    return -(-end // PAGE_BYTES) - una // PAGE_BYTES if end > una else 0


def _ahead(sequence: int, base: int, offset: int) -> int:
    """How far a sequence number is past ``offset``; negative (as signed 32 bits) before it."""
    distance = (sequence - base - offset) % _WRAP
    return distance - _WRAP if distance >= _WRAP // 2 else distance


def stream_end(socket: Socket, sequence: int) -> int:
    """Where in the stream a sequence number lies; never before what is charged already."""
    return socket.tx_end + max(0, _ahead(sequence, socket.tx_base or 0, socket.tx_end))


@dataclass(frozen=True)
class Growth:
    """How a write queue grows with a segment, in pages.

    Attributes:
        held: Charged already.
        need: What the segment itself needs on top of that; without it, it does not go out.
        want: What all that the sender has written needs.
    """

    held: int
    need: int
    want: int


def growth(pool: Pool, socket: Socket, segment: Segment) -> Growth:
    """Pages that sending this segment adds to the socket's write queue."""
    if socket.tx_base is None or socket.generation != pool.generation:
        socket.generation = pool.generation
        socket.tx_base = segment.sequence
        socket.tx_end = socket.tx_una = 0
    held = stream_pages(socket.tx_end, socket.tx_una)
    need = stream_pages(stream_end(socket, segment.end), socket.tx_una) - held
    want = stream_pages(stream_end(socket, segment.written), socket.tx_una) - held
    return Growth(held, need, want)


def margin(pool: Pool, socket: Socket | None, segment: Segment) -> int | None:
    """Pages that a packet must leave free, beside its own, so that the clock need not be read.

    None: the clock is read in any case. ``socket`` is the socket that holds the write queue.
    """
    if not segment.bytes:
        return 0
    if socket is None or socket.tx_base is None or socket.generation != pool.generation:
        return None
    return MARGIN


def charge(pool: Pool, socket: Socket, segment: Segment, grown: Growth, floor: int) -> int:
    """The segment goes out; what the queue holds by now stays until it is acknowledged.

    Returns:
        The pages charged: what the segment needs, and of the rest as much as there is above
        ``floor``.
    """
    room = max(0, pool.free - floor)
    if grown.want <= room:
        pages = grown.want
        end = stream_end(socket, segment.written)
    else:
        pages = room
        end = (socket.tx_una // PAGE_BYTES + grown.held + pages) * PAGE_BYTES
    socket.tx_end = max(socket.tx_end, end)
    pool.free -= pages
    pool.tx += pages
    return pages


def _give_back(pool: Pool, pages: int) -> None:
    pages = min(pages, pool.tx)
    pool.tx -= pages
    pool.free += pages


def acknowledge(pool: Pool, socket: Socket, number: int) -> None:
    """The peer has everything before ``number``."""
    if socket.closed or socket.generation != pool.generation or socket.tx_base is None:
        return
    ahead = _ahead(number, socket.tx_base, socket.tx_una)
    if ahead <= 0:
        return
    before = stream_pages(socket.tx_end, socket.tx_una)
    socket.tx_una = min(socket.tx_una + ahead, socket.tx_end)
    _give_back(pool, before - stream_pages(socket.tx_end, socket.tx_una))


def close(pool: Pool, socket: Socket) -> None:
    """A closed socket gives back what its write queue held."""
    live = not socket.closed and socket.tx_base is not None
    if live and socket.generation == pool.generation:
        _give_back(pool, stream_pages(socket.tx_end, socket.tx_una))
    socket.closed = True


def request(
    kernel: Kernel, socket: Socket | None, rules: Rules, cls: PacketClass, *, streamed: bool
) -> Request:
    """What a sender asks for its pages with.

    Writeback is PF_MEMALLOC, and ARP and ICMP are the kernel's own GFP_ATOMIC. By the mail a
    memalloc socket may go to the bottom as well, and ARP and ICMP follow the receive rule. In a
    kernel the flag does not help who wants pages for data, and waits in GFP_KERNEL first; a head
    alone is asked for with ``sk_allocation``, which has __GFP_MEMALLOC then (``__alloc_skb``).

    Args:
        kernel: Of the node.
        socket: The sender's.
        rules: Of the policy in force.
        cls: What is sent.
        streamed: Whether it is TCP data, which needs pages of a write queue.
    """
    if kernel.flags is Flags.POLICY:
        if reader_runs(socket, rules):
            return Request.MEMALLOC
        atomic = Request.MEMALLOC if rules.honours_flags else Request.ATOMIC
    else:
        if socket is not None and socket.writeback:
            return Request.MEMALLOC
        flagged = socket is not None and socket.memalloc and rules.honours_flags
        if flagged and not streamed and kernel.flags is Flags.SOCKETS:
            return Request.MEMALLOC
        if socket is not None and socket.realtime:
            return Request.REALTIME
        atomic = Request.ATOMIC
    return atomic if cls is PacketClass.CONTROL else Request.NORMAL
