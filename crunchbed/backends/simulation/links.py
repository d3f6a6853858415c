"""The links of a simulated network: rate, queue, delay, loss and cuts of each direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from topologies.layout import LinkLayout

BURST_BYTES: Final = 16 * 1024
HOST_QUEUE_BYTES: Final = 512 * 1024
SWITCH_QUEUE_BYTES: Final = 2 * 1024 * 1024
"""As in ``topologies/wiring.py``, which shapes real interfaces."""


class Bucket:
    """A token bucket: ``rate`` bits a second, and a burst that passes at once.

    Attributes:
        limit: Bytes that may wait in its queue; what comes beyond is dropped.
    """

    def __init__(self, rate: int, limit: int) -> None:
        self.limit = limit
        self._ns_of_bits = 1_000_000_000 / rate
        self._burst_ns = self._ns(BURST_BYTES)
        self._paid_ns = 0  # when the tokens of all that has passed are paid back

    def _ns(self, size: int) -> int:
        return round(size * 8 * self._ns_of_bits)

    def room(self, now: int, size: int) -> int:
        """Return how many frames of ``size`` bytes the queue takes now."""
        waits = max(0, self._paid_ns - now)
        return max(0, round(self.limit - waits / self._ns_of_bits / 8)) // size

    def take(self, now: int, size: int, frames: int) -> tuple[int, int]:
        """Return when the first and the last of some frames leave."""
        each = self._ns(size)
        paid = max(self._paid_ns, now - self._burst_ns)
        self._paid_ns = paid + each * frames
        return max(now, paid + each), max(now, self._paid_ns)

    def full(self, now: int) -> bool:
        """Whether all tokens are there: what passes now makes no difference a moment later."""
        return self._paid_ns <= now - self._burst_ns


@dataclass
class Link:
    """A host's link to the switch of one network, with its two directions.

    Attributes:
        rate: Bits a second.
        powered: Whether the host has power.
        cuts: Faults that hold the link down.
        leaving_ns: By how much what the host sends is held back, and
        coming_ns: what comes to the host.
        loss: Share of the frames that the switch port loses.
    """

    host: str
    layout: LinkLayout
    rate: int
    coming_ns: int = 0
    loss: float = 0.0
    leaving_ns: int = 0
    powered: bool = True
    cuts: int = 0

    def __post_init__(self) -> None:
        self.up = Bucket(self.rate, HOST_QUEUE_BYTES)
        self.down = Bucket(self.rate, SWITCH_QUEUE_BYTES)

    @property
    def passes(self) -> bool:
        """Whether the link is up."""
        return self.powered and not self.cuts
