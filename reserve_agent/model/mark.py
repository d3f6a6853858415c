"""What the receive hook tells the deliver hook about a packet."""

from __future__ import annotations

from dataclasses import dataclass

from reserve_agent.contract.packets import PacketClass
from reserve_agent.model.buffers import Origin


@dataclass(frozen=True)
class Mark:
    """What receive tells deliver about a packet, in ``skb->mark``.

    Attributes:
        cls: The packet's class.
        from_reserve: Its buffer is from the reserve.
        pages: Pages, or with a card one buffer, that deliver counts; 0 for a fragment, which no
            rule looks at again.
        slot: Wheel slot that the pages are in.
        origin: What its buffer is a piece of.
        booked: Whether deliver may settle the pages. Those of a fragment leave by the clock, and
            what came to a pool far from R has taken none.
    """

    cls: PacketClass
    from_reserve: bool
    pages: int
    slot: int
    origin: Origin = Origin.WHOLE
    booked: bool = False
