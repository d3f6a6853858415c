"""What the kernel of a machine has counted of packets, as rows of the hooks' metric."""

from __future__ import annotations

from collections import Counter
from typing import Final

from reserve_agent.contract.events.guests import GuestCounted
from reserve_agent.contract.packets import Hook, Reason
from reserve_agent.exposition import Labels, Rows

CLASS: Final = "any"
"""A kernel counts packets of all classes together."""


def _labels(hook: Hook, reason: Reason) -> Labels:
    return hook.name.lower(), CLASS, reason.verdict, reason.name.lower()


_RECEIVED: Final = _labels(Hook.RECEIVE, Reason.GRANTED)
_NO_BUFFER: Final = _labels(Hook.RECEIVE, Reason.ALLOC_FAILED)
_NOT_MEMALLOC: Final = _labels(Hook.DELIVER, Reason.NOT_MEMALLOC)
_SENT: Final = _labels(Hook.TRANSMIT, Reason.GRANTED)


class GuestPackets:
    """The counts of a node since its first boot; a kernel's own begin at 0 with each boot."""

    def __init__(self) -> None:
        self._earlier: Counter[Labels] = Counter()
        self._now: Counter[Labels] = Counter()

    def booted(self) -> None:
        """Another kernel begins to count."""
        self._earlier.update(self._now)
        self._now.clear()

    def counted(self, event: GuestCounted) -> None:
        """Take in what the kernel has counted since its boot."""
        self._now[_RECEIVED] = event.rx_packets
        self._now[_NO_BUFFER] = event.rx_dropped + event.rx_missed + event.rx_fifo_errors
        self._now[_NOT_MEMALLOC] = event.pfmemalloc_drops
        self._now[_SENT] = event.tx_packets

    def rows(self) -> Rows:
        """Return the series; none before a kernel has counted."""
        return [(key, self._earlier[key] + self._now[key]) for key in self._earlier | self._now]
