"""A kernel's receive buffers with its network card: the ring, what refills it, and copies.

The ring is a queue: a packet arrives in the buffer that was filled first, so that a buffer's mark
is of the time when it was filled and not of the packet.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from reserve_agent.contract.packets import PAGE_BYTES, Reason
from reserve_agent.model.buffers import Origin, ReceiveBuffers, Taken, WholePages
from reserve_agent.model.fate import Fate
from reserve_agent.model.pieces import Heads, Piece, Pieces
from reserve_agent.model.pool import Pool
from reserve_agent.model.profiles.card import Asks, Card, Refill
from reserve_agent.model.profiles.kernel import Buffers, Kernel, Request
from reserve_agent.model.wheel import Wheel


@dataclass
class CardBuffers:
    """The receive side of one card under one kernel.

    Attributes:
        ring: Filled buffers, the one that the next packet comes in first, of which
        marked: so many are from the reserve.
        small: What short frames are copied into.
        large: What the ring's buffers are cut from.
        heads: Heads of packets.
        running: Buffers whose reader runs, by origin.
        hoarded: Buffers whose reader does not read, by origin.
        deaf: Nothing is received until the driver has filled its ring, which it tries again
        retry_at: at this time.
        truesize: Bytes of buffer and head, by origin.
        mute_after: The card's, where the kernel has a cache that heads may sink into.
    """

    pool: Pool
    kernel: Kernel
    buffers: Buffers
    card: Card

    def __post_init__(self) -> None:
        buffers, large = self.buffers, self.card.buffer_bytes
        self.truesize = dict.fromkeys(Origin, large + buffers.head_bytes)
        self.truesize[Origin.SMALL] = buffers.small_bytes + buffers.head_bytes
        self.mute_after = self.card.mute_after if buffers.napi_cache else 0
        self._empty()

    def _empty(self) -> None:
        pool, kernel, buffers, card = self.pool, self.kernel, self.buffers, self.card
        fragment = buffers.fragment_pages
        self.small = Pieces(pool, kernel, Origin.SMALL, PAGE_BYTES // buffers.small_bytes)
        self.large = Pieces(
            *(pool, kernel, Origin.PAGE),
            *(card.per_page, card.per_fragment(fragment), fragment),
        )
        self.heads = Heads(pool, kernel, buffers.heads_at_hand, buffers.heads_per_page)
        self.ring: deque[Piece] = deque()
        self.marked = 0
        self.running = {origin: Wheel(pool.tick) for origin in Origin}
        self.hoarded = dict.fromkeys(Origin, 0)
        self.deaf, self.retry_at = False, 0

    def reset(self) -> None:
        """A fresh boot: the ring is filled, and heads are at hand."""
        self._empty()
        self.heads.fill()
        self._fill(memalloc=False)

    @property
    def at_rest(self) -> bool:
        """Whether a packet that comes and is read leaves nothing changed, where pages are free.

        The ring is filled, a head is at hand, and the ring's next buffers are not from the reserve.
        """
        filled = self.card.ring - len(self.ring) < self.card.batch
        marked = self.marked or self.large.marked
        return filled and not self.deaf and self.heads.at_hand > 0 and not marked

    def turn(self) -> None:
        """Free what running readers have read by the pool's time."""
        for origin, wheel in self.running.items():
            for _ in range(wheel.turn(self.pool.tick)):
                self.drop(origin)

    def take(self, frame_bytes: int, memalloc: bool) -> Taken:
        """The buffer that the driver has for a frame."""
        before = self.pool.stock
        piece = self._packet(frame_bytes, memalloc)
        if piece is None:
            exhausted = memalloc and not self.pool.free
            refused = Reason.RESERVE_EXHAUSTED if exhausted else Reason.ALLOC_FAILED
            return Taken(1, refused=refused)
        self.pool.sunk = max(0, self.pool.sunk - 1)
        pages = max(0, self.pool.stock - before)
        return Taken(pages, piece.from_reserve, piece.origin)

    def _packet(self, frame_bytes: int, memalloc: bool) -> Piece | None:
        if not self._hears() or not self.heads.take():
            return None
        short = frame_bytes <= self.card.copies
        if self.card.needs_small:
            piece = self._with_header(short, memalloc)
        else:
            # What is copied gives the ring its buffer back at once.
            small = self.small.ask(memalloc) if short else None
            piece = small or self._from_ring(memalloc)
        if piece is None:
            self.heads.give()
        return piece

    def _hears(self) -> bool:
        """A deaf driver waits for memory as a normal task, which finds none up to R."""
        if not self.deaf:
            return True
        if self.pool.now < self.retry_at:
            return False
        normal = self.kernel.floors.pages(Request.NORMAL, self.pool.reserve)
        self.deaf = self.pool.free <= normal or not self._fill(memalloc=False)
        self.retry_at = self.pool.now + self.card.retry_ns
        return not self.deaf

    def _with_header(self, short: bool, memalloc: bool) -> Piece | None:
        """Every packet needs a small buffer; a short one then gives its other buffer back.

        A longer one keeps both. The small one is not counted any further: a quarter of a page.
        """
        large, small = self._from_ring(memalloc), self.small.ask(memalloc)
        if large is None or small is None:
            for piece in filter(None, (large, small)):
                self._give(piece.origin)
            return None
        kept, spare = (small, large) if short else (large, small)
        self._give(spare.origin)
        return Piece(kept.origin, small.from_reserve)

    def _from_ring(self, memalloc: bool) -> Piece | None:
        """The ring's next buffer, and what the driver does about its slot."""
        refill = self.card.refill
        if refill is Refill.EACH:
            fresh = self.large.take(self._asks(memalloc))
            if fresh is None:
                return None
            self._push(fresh)
            return self._next()
        if not self.ring:
            self._fill(memalloc)
        if not self.ring:
            return None
        piece = self._next()
        if refill is Refill.RECYCLED and not piece.from_reserve:
            self._push(piece)
            return Piece(Origin.RING, from_reserve=False)
        self._refill(memalloc)
        return piece

    def _refill(self, memalloc: bool) -> None:
        if self.card.ring - len(self.ring) < self.card.batch:
            return
        if not self._fill(memalloc) and self.card.refill is Refill.OR_DEAF:
            self.deaf = True
            self.retry_at = self.pool.now + self.card.retry_ns

    def _fill(self, memalloc: bool) -> bool:
        """Fill empty slots; False at the first that there is no buffer for."""
        asks = self._asks(memalloc)
        while len(self.ring) < self.card.ring:
            piece = self.large.take(asks)
            if piece is None:
                return False
            self._push(piece)
        return True

    def _push(self, piece: Piece) -> None:
        self.ring.append(piece)
        self.marked += piece.from_reserve

    def _next(self) -> Piece:
        piece = self.ring.popleft()
        self.marked -= piece.from_reserve
        return piece

    def _asks(self, memalloc: bool) -> bool:
        """Whether a buffer for the ring is asked for with __GFP_MEMALLOC."""
        return {Asks.FLAGGED: memalloc, Asks.ALWAYS: True, Asks.NEVER: False}[self.card.asks]

    def _give(self, origin: Origin) -> None:
        if origin is not Origin.RING:
            (self.small if origin is Origin.SMALL else self.large).give(origin)

    def drop(self, origin: Origin, /) -> None:
        """A packet is gone: its head and its buffer are free."""
        self.heads.give()
        self._give(origin)

    def hold(self, taken: Taken) -> tuple[int, int]:
        """One buffer, and its slot."""
        wheel = self.running[taken.origin]
        wheel.put(1)
        return 1, wheel.slot

    def settle(self, origin: Origin, held: int, slot: int, fate: Fate, /) -> None:
        """Dropped, or kept by a reader that does not read; a kernel's readers never wait."""
        if not held or not self.running[origin].take(slot, held):
            return
        if fate is Fate.DROPPED:
            self.drop(origin)
            return
        if origin is Origin.RING and self.ring:
            # The reader keeps the page, so that the ring needs another one.
            self.marked -= self.ring.pop().from_reserve
            self._refill(memalloc=True)
            origin = Origin.PAGE
        self.hoarded[origin] += 1

    def unbooked(self, _frame_bytes: int, /) -> int:
        """One buffer."""
        return 1

    def outgoing(self, _frame_bytes: int, /) -> int:
        """None while heads are at hand: small packets are made of slabs.

        Where the driver gives heads of sent packets to NAPI's cache a sender runs out of them.
        """
        return 0 if self.heads.at_hand and not 0 < self.mute_after <= self.pool.sunk else 1

    def sink(self) -> None:
        """Its head goes from the slab to NAPI's cache, out of a sender's reach."""
        if self.mute_after:
            self.pool.sunk += 1

    def wake(self) -> None:
        """Readers that did not read do so at last."""
        for origin, count in self.hoarded.items():
            for _ in range(count):
                self.drop(origin)
        self.hoarded = dict.fromkeys(Origin, 0)


def receive_buffers(pool: Pool, kernel: Kernel, card: Card | None) -> ReceiveBuffers:
    """What a node with this kernel and card takes its receive buffers from.

    Raises:
        ValueError: The kernel profile has buffers, and there is no card.
    """
    if kernel.buffers is None:
        return WholePages(pool, kernel)
    if card is None:
        raise ValueError(f"{kernel.name}: a card profile is needed")
    return CardBuffers(pool, kernel, kernel.buffers, card)
