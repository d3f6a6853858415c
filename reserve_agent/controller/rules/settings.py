"""How traffic toward a node under pressure is shed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reserve_agent.contract.packets import PacketClass

ShedMode = Literal["off", "drop", "meter", "queue"]


@dataclass(frozen=True)
class Shed:
    """Which packets toward a node under pressure are shed, and how.

    Attributes:
        mode: ``off`` sheds nothing; ``drop`` sheds all; ``meter`` sheds what is above
            ``rate_kbit``; ``queue`` sheds nothing, but delays packets to ``rate_kbit``.
        rate_kbit: Rate in 1000 bits a second, for ``meter`` and ``queue``.
        burst_kbit: Burst that ``meter`` lets pass, in 1000 bits.
        classes: The classes that are shed.
    """

    mode: ShedMode = "off"
    rate_kbit: int = 1000
    burst_kbit: int = 100
    classes: tuple[PacketClass, ...] = (PacketClass.OTHER,)
