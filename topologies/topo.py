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


class LaidOutTopo(Topo):  # type: ignore[misc]
    """Mininet's description of a network, filled by ``lay_out``."""

    def lay_out(self, made: Layout) -> None:
        """Add the switches, hosts and links of a layout."""
        # Asks plain Mininet's switches for spanning tree; a run's ``OvsSwitch`` reads it as well.
        more = {"stp": True} if made.has_loops else {}
        for switch in made.switches:
            self.addSwitch(switch.name, dpid=f"{switch.dpid:x}", **more)
        for host in made.hosts:
            self._add_host(host)
        for trunk in made.trunks:
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
                # Mininet gives the host's address to the first interface, and none to the others.
                params1={"ip": f"{link.ip}/{PREFIX_LENGTH}"} if number else {},
            )


class LayoutTopo(LaidOutTopo):
    """The network of a given layout; every run has this one."""

    def build(self, made: Layout) -> None:
        """Called by Mininet with the constructor's argument."""
        self.lay_out(made)


class StarTopo(LaidOutTopo):
    """Hosts ``n1``.. and the storage host ``st`` on switch ``s1``."""

    def build(self, nodes: int = 3, run_id: str = "") -> None:
        """``nodes`` cluster nodes; called by Mininet with the constructor's arguments."""
        self.lay_out(layout.star(nodes, run_id))


class SplitTopo(LaidOutTopo):
    """Hosts ``n1``.. on switches ``s1`` and ``s2``, the storage host ``st`` on ``s2`` alone."""

    def build(self, nodes: int = 3, run_id: str = "") -> None:
        """``nodes`` cluster nodes; called by Mininet with the constructor's arguments."""
        self.lay_out(layout.split(nodes, run_id))


class RedundantTopo(LaidOutTopo):
    """Hosts ``n1``.. and the storage host ``st``, each on both switches, which are linked."""

    def build(self, nodes: int = 3, run_id: str = "") -> None:
        """``nodes`` cluster nodes; called by Mininet with the constructor's arguments."""
        self.lay_out(layout.redundant(nodes, run_id))


class LeafSpineTopo(LaidOutTopo):
    """Hosts ``n1``.. and ``st`` on leaves ``s3``.., each linked to the spines ``s1`` and ``s2``."""

    def build(self, nodes: int = 3, leaves: int = 2, run_id: str = "") -> None:
        """``nodes`` cluster nodes; called by Mininet with the constructor's arguments."""
        self.lay_out(layout.leaf_spine(nodes, leaves, run_id))


topos = {
    "star": StarTopo,
    "split": SplitTopo,
    "redundant": RedundantTopo,
    "leaf-spine": LeafSpineTopo,
}
"""Read by ``mn``: the word after ``--topo``, and its class."""
