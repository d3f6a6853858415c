"""The star: every node on one switch.

Also for plain Mininet: ``mn --custom topologies/star.py --topo star,3``. So this file imports
nothing else of the project.
"""

from __future__ import annotations

import logging

# Mininet makes its logger class everybody's; put back what was there.
_logger_class = logging.getLoggerClass()
from mininet.topo import Topo  # noqa: E402

logging.setLoggerClass(_logger_class)

SUBNET = "10.77.0"
STORAGE_NUMBER = 254


def address(number: int) -> str:
    """IPv4 address of a cluster node by number from 1, or of the storage host (254)."""
    return f"{SUBNET}.{number}"


def hardware_address(run_number: int, side: int, number: int) -> str:
    """A locally administered MAC that differs between runs, link sides and nodes.

    Args:
        run_number: the run id as a number under 2**24.
        side: 0 in the node, 1 at the switch.
        number: number of the node.
    """
    octets = (2, *run_number.to_bytes(3, "big"), side, number)
    return ":".join(f"{octet:02x}" for octet in octets)


class StarTopo(Topo):  # type: ignore[misc]
    """``nodes`` cluster hosts ``n1``.. and the storage host ``st`` on switch ``s1``."""

    def build(self, nodes: int = 3, run_id: str = "") -> None:
        """Called by Mininet with the constructor's arguments.

        Args:
            nodes: cluster nodes, 1 to 32; the storage host comes on top.
            run_id: goes in front of every name.
        """
        run_number = int(run_id, 36) if run_id else 0
        # Mininet would take a datapath id from the first digits of the name, and those
        # are not unique when a run id has digits.
        switch = self.addSwitch(f"{run_id}s1", dpid=f"{run_number + 1:x}")
        hosts = [(f"{run_id}n{number}", number) for number in range(1, nodes + 1)]
        for port, (name, number) in enumerate([*hosts, (f"{run_id}st", STORAGE_NUMBER)], 1):
            self.addHost(name, ip=f"{address(number)}/24")
            self.addLink(
                name,
                switch,
                port2=port,
                addr1=hardware_address(run_number, 0, number),
                addr2=hardware_address(run_number, 1, number),
            )


topos = {"star": StarTopo}
