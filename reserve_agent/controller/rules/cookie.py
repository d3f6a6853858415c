"""A flow's cookie says what it is for, and which controller wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from reserve_agent.contract.packets import PacketClass

MAGIC = 0xCB
EPOCH_MASK = 0x0000_FFFF_0000_0000
MAGIC_MASK = 0xFF00_0000_0000_0000


class Purpose(IntEnum):
    """What a flow is for."""

    CLASSIFY = 0
    LOOK = 1  # copies the first bytes of a connection to the controller
    KNOWN = 2  # a connection whose first bytes were seen
    PRESSURE = 3
    DELIVER = 4  # to the node behind a port of this switch, by its hardware address
    TRANSIT = 5  # to another switch
    FLOOD = 6
    MISS = 7
    ASKED = 8  # also to the node behind a port: a request for its address


@dataclass(frozen=True)
class Cookie:
    """64 bits: magic (8), purpose (8), epoch (16), class (8), reserved (8), port (16).

    Attributes:
        purpose: What the flow is for.
        cls: Class of its packets; None for any.
        port: OpenFlow port that the flow counts for: the port of the node that it delivers to, or
            the port that a flood came in by; 0 for none.
    """

    purpose: Purpose
    cls: PacketClass | None = None
    port: int = 0

    def encode(self, epoch: int) -> int:
        """The cookie on the wire; ``epoch`` is 0 to 65535."""
        cls = 0xFF if self.cls is None else self.cls
        return MAGIC << 56 | self.purpose << 48 | epoch << 32 | cls << 24 | self.port


def decode(value: int) -> tuple[Cookie, int] | None:
    """The cookie and its epoch; None where no controller of ours wrote it."""
    try:
        cls = value >> 24 & 0xFF
        cookie = Cookie(
            Purpose(value >> 48 & 0xFF),
            None if cls == 0xFF else PacketClass(cls),
            value & 0xFFFF,
        )
    except ValueError:
        return None
    return (cookie, value >> 32 & 0xFFFF) if value >> 56 == MAGIC else None
