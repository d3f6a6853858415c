"""A layout as Mininet's description of a network, and the four topologies for plain Mininet.

``mn --custom topologies/topo.py --topo star,3``; also ``split,3``, ``redundant,3`` and
``leaf-spine,4,2``. Plain Mininet sets up the addresses of links only, so a host of ``redundant``
lacks the address that it has beside those.
"""

from __future__ import annotations

import logging

if __name__ == "builtins":  # mn executes the text of this file, without the project in its path
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies import layout
from topologies.layout import PREFIX_LENGTH, HostLayout, Layout

# Mininet replaces the logger class of the whole process; the one from before comes back here.
_logger_class = logging.getLoggerClass()
from mininet.topo import Topo  # noqa: E402

logging.setLoggerClass(_logger_class)


class LayoutTopo(Topo):  # type: ignore[misc]
    """The network of a layout in Mininet's words; every run has one."""

    def build(self, made: Layout) -> None:
        """Add the layout's switches, hosts and links; Mininet passes the constructor's argument."""
        # Asks plain Mininet's switches for spanning tree; a run's ``OvsSwitch`` reads it as well.
        more = {"stp": True} if made.has_loops else {}
        for switch in made.switches:
            self.addSwitch(switch.name, dpid=f"{switch.dpid:x}", **more)
        for host in made.hosts:
            self._add_host(host)
        for trunk in made.trunks:
            one, other = trunk.one, trunk.other
            ports = {"port1": one.number, "port2": other.number}
            self.addLink(one.switch, other.switch, **ports, addr1=one.mac, addr2=other.mac)

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
                # Mininet gives the host's address to the first interface, and none to the others.
                params1={"ip": f"{link.ip}/{PREFIX_LENGTH}"} if number else {},
            )


topos = {
    "star": lambda nodes=3, run_id="": LayoutTopo(layout.star(nodes, run_id)),
    "split": lambda nodes=3, run_id="": LayoutTopo(layout.split(nodes, run_id)),
    "redundant": lambda nodes=3, run_id="": LayoutTopo(layout.redundant(nodes, run_id)),
    "leaf-spine": lambda nodes=3, leaves=2, run_id="": LayoutTopo(
        layout.leaf_spine(nodes, leaves, run_id)
    ),
}
"""Read by ``mn``: the word after ``--topo``, and what makes its network."""
