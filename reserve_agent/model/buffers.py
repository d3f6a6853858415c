"""What the buffer of a received packet is taken from, in two forms.

``WholePages`` is the mail's: every packet takes pages of its own. ``card_buffers.CardBuffers`` is
that of a kernel and its card: a ring that was filled before, pieces of pages, and heads. A node has
one of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from reserve_agent.contract.packets import Reason
from reserve_agent.model.fate import Fate
from reserve_agent.model.packet import buffer_pages
from reserve_agent.model.pool import Pool
from reserve_agent.model.profiles.kernel import Kernel, Request


class Origin(IntEnum):
    """What a packet's buffer is a piece of."""

    WHOLE = 0
    """Nothing: it has pages of its own."""
    SMALL = 1
    """A page that is cut into small buffers."""
    PAGE = 2
    """A single page that is cut into the ring's buffers."""
    FRAGMENT = 3
    """An order-3 fragment that is cut into the ring's buffers."""
    RING = 4
    """A page that the ring keeps."""


@dataclass(frozen=True)
class Taken:
    """A buffer for one packet, or why there is none.

    Attributes:
        pages: Pages that it took out of the pool, or for want of which it was refused.
        from_reserve: Whether it is from the reserve.
        origin: What it is a piece of.
        refused: Why there is none.
    """

    pages: int
    from_reserve: bool = False
    origin: Origin = Origin.WHOLE
    refused: Reason | None = None


class ReceiveBuffers(Protocol):
    """Where a node has its receive buffers from."""

    @property
    def truesize(self) -> Mapping[Origin, int]:
        """Bytes that a packet counts for in its socket's receive buffer; none = no bound."""

    @property
    def at_rest(self) -> bool:
        """Whether a packet that comes and is read leaves nothing changed, where pages are free."""

    def turn(self) -> None:
        """Free what running readers have read by the pool's time."""

    def take(self, frame_bytes: int, memalloc: bool) -> Taken:
        """The buffer that a driver has for a frame; ``memalloc``: the receive reserve is open."""

    def drop(self, origin: Origin, /) -> None:
        """The packet is dropped before it was held."""

    def hold(self, taken: Taken) -> tuple[int, int]:
        """A running reader keeps it for the service time: how much is held, and in which slot."""

    def settle(self, origin: Origin, held: int, slot: int, fate: Fate, /) -> None:
        """The fate of a buffer that is held is known."""

    def unbooked(self, frame_bytes: int, /) -> int:
        """How much of a packet would be held that is not."""

    def outgoing(self, frame_bytes: int, /) -> int:
        """Pages that a packet which leaves, or is at rest on its way in, needs for a moment."""

    def sink(self) -> None:
        """A packet left while its sender would have found no page for its head."""

    def wake(self) -> None:
        """Readers that did not read do so at last."""

    def reset(self) -> None:
        """The node rebooted, and the pool with it."""


@dataclass
class WholePages:
    """Each packet takes pages of its own; the pool counts them."""

    pool: Pool
    kernel: Kernel
    truesize: Mapping[Origin, int] = field(default_factory=dict)
    at_rest: bool = True

    def turn(self) -> None:
        """The pool has done so."""

    def take(self, frame_bytes: int, memalloc: bool) -> Taken:
        """As many pages as the kernel's truesize; they are taken by ``hold``."""
        pages, floors = buffer_pages(frame_bytes), self.kernel.floors
        reserve, left = self.pool.reserve, self.pool.free - pages
        floor = floors.pages(Request.MEMALLOC if memalloc else Request.ATOMIC, reserve)
        from_reserve = left < floors.pages(self.kernel.from_reserve, reserve)
        if left >= floor:
            return Taken(pages, from_reserve)
        refused = Reason.ALLOC_FAILED if floor else Reason.RESERVE_EXHAUSTED
        return Taken(pages, from_reserve, refused=refused)

    def drop(self, origin: Origin, /) -> None:
        """Nothing was taken yet."""

    def hold(self, taken: Taken) -> tuple[int, int]:
        """Pages and slot."""
        return taken.pages, self.pool.hold(taken.pages)

    def settle(self, _origin: Origin, held: int, slot: int, fate: Fate, /) -> None:
        """By the pool."""
        self.pool.settle(slot, held, fate)

    def outgoing(self, frame_bytes: int, /) -> int:
        """The pages of its buffer."""
        return buffer_pages(frame_bytes)

    unbooked = outgoing

    def sink(self) -> None:
        """Heads are part of those pages."""

    def wake(self) -> None:
        """The pool does so."""

    def reset(self) -> None:
        """The pool has done so."""
