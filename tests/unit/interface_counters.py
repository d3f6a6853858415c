"""What a node itself counts at its interfaces."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path

from reserve_agent.errors import CrunchbedError
from topologies.node import ClusterNode


@dataclass(frozen=True)
class InterfaceCounters:
    """Bytes and packets of a node's interfaces since they were made."""

    rx_bytes: int
    rx_packets: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_dropped: int


def parse_counters(text: str, interface: str) -> InterfaceCounters:
    """Read one interface's counters out of the text of a /proc/net/dev.

    Raises:
        CrunchbedError: the text has no such interface.
    """
    for line in text.splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == interface:
            f = [int(figure) for figure in figures.split()]
            return InterfaceCounters(f[0], f[1], f[3], f[8], f[9], f[11])
    raise CrunchbedError(f"no interface {interface}")


def counters_of(node: ClusterNode) -> InterfaceCounters:
    """The sum of the counters of all interfaces, as the node itself counts."""
    text = Path(f"/proc/{node.pid}/net/dev").read_text()
    counted = [astuple(parse_counters(text, interface)) for interface in node.interfaces]
    return InterfaceCounters(*(sum(one) for one in zip(*counted, strict=True)))
