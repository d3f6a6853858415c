"""One host of a run's network, as the rest of the project sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodes.ports import addresses_asked_for, is_operational, set_link
from reserve_agent.errors import CrunchbedError
from reserve_agent.netns import network_namespace_of


@dataclass(frozen=True)
class InterfaceCounters:
    """What a node's interface has carried since it was made."""

    rx_bytes: int
    rx_packets: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_dropped: int


def parse_counters(text: str, interface: str) -> InterfaceCounters:
    """Read one interface's counters out of a /proc/net/dev.

    Raises:
        CrunchbedError: it is not in there.
    """
    for line in text.splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == interface:
            f = [int(figure) for figure in figures.split()]
            return InterfaceCounters(f[0], f[1], f[3], f[8], f[9], f[11])
    raise CrunchbedError(f"no interface {interface}")


@dataclass(frozen=True)
class ClusterNode:
    """One host of the network.

    Attributes:
        name: logical name, "n1".. or "storage".
        mininet_name: its name with the run id in front.
        pid: a process in its network namespace that lives as long as the cluster.
        ip: IPv4 address, without a prefix length.
        interface: its interface, in its namespace.
        switch_port: the other end of that, in the root namespace.
    """

    name: str
    mininet_name: str
    pid: int
    ip: str
    interface: str
    switch_port: str

    def set_port(self, up: bool) -> None:
        """Set its switch port up or down; the node sees its carrier come or go at once."""
        set_link(self.switch_port, up=up)

    def has_link(self) -> bool:
        """Whether both ends of its link pass packets."""
        if not is_operational(self.switch_port):
            return False
        with network_namespace_of(self.pid):
            return is_operational(self.interface)

    def addresses_asked_for(self) -> set[str]:
        """The addresses of others that it waits to resolve."""
        with network_namespace_of(self.pid):
            return addresses_asked_for()

    def interface_counters(self) -> InterfaceCounters:
        """The node's own view of its interface."""
        text = Path(f"/proc/{self.pid}/net/dev").read_text()
        return parse_counters(text, self.interface)
