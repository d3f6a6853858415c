"""How traffic toward a node under pressure is shed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from reserve_agent.contract.packets import PacketClass
from reserve_agent.errors import BadInput

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

    def __post_init__(self) -> None:
        if self.mode not in get_args(ShedMode):
            modes = ", ".join(get_args(ShedMode))
            raise BadInput(f"shed.mode: expected one of {modes}, got {self.mode!r}")
        for name in ("rate_kbit", "burst_kbit"):
            if getattr(self, name) < 1:
                raise BadInput(f"shed.{name}: expected at least 1, got {getattr(self, name)}")
