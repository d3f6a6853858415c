"""One host of a run's network: its links and addresses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nodes.ports import addresses_asked_for, is_operational, set_link
from reserve_agent.netns import network_namespace_of


@dataclass(frozen=True)
class NodeLink:
    """One link of a host to a switch.

    Attributes:
        interface: the host's end, in its namespace.
        switch_port: the other end, in the root namespace.
        ip: IPv4 address of the interface, without a prefix length.
        network: label of the network: "cluster", "storage", "a" or "b".
        mac: hardware address of the interface, in lower case.
    """

    interface: str
    switch_port: str
    ip: str
    network: str = "cluster"
    switch: str = ""
    mac: str = ""


@dataclass(frozen=True)
class ClusterNode:
    """One host of the network, with at least one link.

    Attributes:
        name: logical name, "n1".. or "storage".
        mininet_name: name with the run id as prefix.
        pid: a process in the network namespace that lives as long as the cluster.
        host_address: one more IPv4 address, which every link leads to; None where there is none.
    """

    name: str
    mininet_name: str
    pid: int
    links: tuple[NodeLink, ...]
    host_address: str | None = None

    @property
    def ip(self) -> str:
        """IPv4 address of the first link."""
        return self.links[0].ip

    @property
    def interface(self) -> str:
        """The host's end of the first link."""
        return self.links[0].interface

    @property
    def switch_port(self) -> str:
        """The switch's end of the first link."""
        return self.links[0].switch_port

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The host's ends of all links."""
        return tuple(link.interface for link in self.links)

    @property
    def switch_ports(self) -> tuple[str, ...]:
        """The switches' ends of all links."""
        return tuple(link.switch_port for link in self.links)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All IPv4 addresses of the host; every packet that it sends has one as its source."""
        own = () if self.host_address is None else (self.host_address,)
        return (*own, *(link.ip for link in self.links))

    def link(self, network: str) -> NodeLink:
        """The link to ``network``; the first link where the host has none to it."""
        return next((link for link in self.links if link.network == network), self.links[0])

    def address(self, network: str) -> str:
        """IPv4 address under which other hosts reach this one on ``network``.

        It is the address of the link to ``network``; without such a link the host address; without
        that too, the address of the first link.
        """
        found = self.link(network)
        if found.network != network and self.host_address is not None:
            return self.host_address
        return found.ip

    def set_port(self, link: NodeLink, up: bool) -> None:
        """Set a link's switch port up or down; the node's end has its carrier changed at once."""
        set_link(link.switch_port, up=up)

    def has_links(self, links: Iterable[NodeLink]) -> bool:
        """Whether both ends of these links pass packets."""
        links = list(links)
        if not all(is_operational(link.switch_port) for link in links):
            return False
        with network_namespace_of(self.pid):
            return all(is_operational(link.interface) for link in links)

    def addresses_asked_for(self) -> set[str]:
        """Addresses of other hosts for which this host waits for an ARP answer."""
        with network_namespace_of(self.pid):
            return addresses_asked_for()
