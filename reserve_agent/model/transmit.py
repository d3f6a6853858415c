"""Pages of a TCP write queue.

The queue packs its bytes into whole pages, as the kernel's sk_page_frag does, and keeps them
until they are acknowledged: pages held = ceil(end / 4096) - floor(una / 4096).
"""

from __future__ import annotations

from reserve_agent.hooks.layout import PAGE_BYTES, PacketClass
from reserve_agent.model.packet import Segment
from reserve_agent.model.policies import Rules, reader_runs
from reserve_agent.model.pool import Pool
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


def stream_end(socket: Socket, segment: Segment) -> int:
    """Where the stream ends with this segment; a retransmission moves nothing."""
    end = (segment.sequence + segment.bytes) % _WRAP
    return socket.tx_end + max(0, _ahead(end, socket.tx_base or 0, socket.tx_end))


def growth(pool: Pool, socket: Socket, segment: Segment) -> int:
    """Pages that sending this segment adds to the socket's write queue."""
    if socket.tx_base is None or socket.generation != pool.generation:
        socket.generation = pool.generation
        socket.tx_base = segment.sequence
        socket.tx_end = socket.tx_una = 0
    held = stream_pages(socket.tx_end, socket.tx_una)
    return stream_pages(stream_end(socket, segment), socket.tx_una) - held


def margin(pool: Pool, socket: Socket | None, segment: Segment) -> int | None:
    """Pages beside its own that a packet must leave where the clock is not to be asked.

    None: it is asked in any case. ``socket`` is the one that holds the write queue.
    """
    if not segment.bytes:
        return 0
    if socket is None or socket.tx_base is None or socket.generation != pool.generation:
        return None
    return MARGIN


def charge(pool: Pool, socket: Socket, segment: Segment, pages: int) -> None:
    """The segment goes out; its pages are held until they are acknowledged."""
    socket.tx_end = stream_end(socket, segment)
    pool.free -= pages
    pool.tx += pages


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


def floor(pool: Pool, socket: Socket | None, rules: Rules, cls: PacketClass) -> int:
    """Pages that a sender must leave free.

    Writeback and memalloc sockets may go to the bottom, anybody else stalls at the mark. ARP and
    ICMP, the kernel's own GFP_ATOMIC transmissions, follow the receive rule.
    """
    if reader_runs(socket, rules):
        return 0
    return rules.floor(pool) if cls is PacketClass.CONTROL else pool.reserve
