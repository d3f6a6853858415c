"""A layout as Mininet's description of a network."""

from __future__ import annotations

import logging

from topologies.layout import PREFIX_LENGTH, HostLayout, Layout

# Mininet makes its logger class everybody's; put back what was there.
_logger_class = logging.getLoggerClass()
from mininet.topo import Topo  # noqa: E402

logging.setLoggerClass(_logger_class)


class LaidOutTopo(Topo):  # type: ignore[misc]
    """Mininet's description of a network, which ``lay_out`` makes."""

    def lay_out(self, layout: Layout) -> None:
        """Add what the layout says."""
        # Spanning tree is for plain Mininet; a run's own switches have their way with loops.
        more = {"stp": True} if layout.has_loops else {}
        for switch in layout.switches:
            self.addSwitch(switch.name, dpid=f"{switch.dpid:x}", **more)
        for host in layout.hosts:
            self._add_host(host)
        for trunk in layout.trunks:
            one, other = trunk.one, trunk.other
            self.addLink(
                one.switch,
                other.switch,
                port1=one.number,
                port2=other.number,
                addr1=one.mac,
                addr2=other.mac,
            )

    def _add_host(self, host: HostLayout) -> None:
        self.addHost(host.name, ip=f"{host.links[0].ip}/{PREFIX_LENGTH}")
        for number, link in enumerate(host.links):
            self.addLink(
                host.name,
                link.port.switch,
                port1=number,
                port2=link.port.number,
                addr1=link.mac,
                addr2=link.port.mac,
                # Mininet itself gives the first interface the host's address, and no other one.
                params1={"ip": f"{link.ip}/{PREFIX_LENGTH}"} if number else {},
            )


class LayoutTopo(LaidOutTopo):
    """Of any layout."""

    def build(self, layout: Layout) -> None:
        """Called by Mininet with the constructor's argument."""
        self.lay_out(layout)
