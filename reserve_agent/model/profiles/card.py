"""What a card profile says: where a network card's driver has its receive buffers from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from reserve_agent.contract.packets import PAGE_BYTES


class Asks(IntEnum):
    """When a driver asks for the buffers of its ring with __GFP_MEMALLOC."""

    FLAGGED = 0
    """While a socket is flagged: netdev_alloc_skb, napi_alloc_skb."""
    ALWAYS = 1
    """dev_alloc_page."""
    NEVER = 2


class Refill(IntEnum):
    """What a driver does about the slot of its ring that a packet came in."""

    EACH = 0
    """A fresh buffer for the slot first; without one the packet is dropped, its buffer stays."""
    BATCH = 1
    """Slots are empty until there are ``batch`` of them; what fails is tried with each packet."""
    OR_DEAF = 2
    """As ``BATCH``; what fails ends all receiving, until a try every ``retry_ns`` finds memory."""
    RECYCLED = 3
    """The slot keeps its page, unless that is from the reserve or a reader keeps it."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A card profile.

    Attributes:
        name: As in scenarios.
        measured: Versions and runs that confirmed it; empty where it was only read.
        ring: Slots of the receive ring, all filled before a crunch.
        refill: What happens to a slot that was used.
        batch: Empty slots at which the driver fills them.
        asks: When the ring's buffers are asked for with __GFP_MEMALLOC.
        buffer_bytes: Size of one such buffer as it is cut from a page, with skb_shared_info.
        fragments: Whether these are cut from order-3 fragments where the kernel has them.
        copies: Frames up to so many bytes are copied into a small buffer, and give the ring's
            buffer back. Small buffers are asked for with __GFP_MEMALLOC while a socket is flagged.
        needs_small: Whether a packet without a small buffer is dropped; otherwise it stays in the
            ring's buffer.
        retry_ns: Time between two tries of a driver that is deaf.
        mute_after: Packets that a node which receives nothing can send without a page for heads,
            where the driver gives the heads of sent packets to NAPI's cache; 0 = no bound.
    """

    name: str
    measured: str = ""
    ring: int
    refill: Refill
    batch: int = 1
    asks: Asks
    buffer_bytes: int
    fragments: bool = True
    copies: int = 0
    needs_small: bool = False
    retry_ns: int = 0
    mute_after: int = 0

    @property
    def per_page(self) -> int:
        """Ring buffers in a single page."""
        return PAGE_BYTES // self.buffer_bytes

    def per_fragment(self, pages: int) -> int:
        """Ring buffers in a fragment of so many pages; 0 where there is none."""
        return PAGE_BYTES * pages // self.buffer_bytes if self.fragments else 0
