"""The daemons of a simulated node, by name, and the readers of its traffic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crunchbed.backends.simulation.daemon import Daemon, Home
from crunchbed.backends.simulation.heartbeats import HeartbeatDaemon
from crunchbed.backends.simulation.initiator import InitiatorDaemon
from crunchbed.backends.simulation.packet import Datagram
from crunchbed.backends.simulation.service import ServiceDaemon
from crunchbed.scenario.crunch import FloodCrunch
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.packets import STALLED_BYTES


class TrafficDaemon(Daemon):
    """Readers of packets that are nobody's: normal tasks, and one that does not read."""

    def __init__(self, node: Home) -> None:
        super().__init__(node, "traffic")
        scenario, crunch = node.scenario, node.scenario.crunch
        node.host.bind(scenario.traffic.port, _forget)
        if isinstance(crunch, FloodCrunch):
            node.host.bind(
                *(crunch.port, _forget),
                memalloc=crunch.memalloc,
                stalled=True,
                receive_buffer=STALLED_BYTES,
            )
        node.note(DaemonReady(t=self._now(), name="traffic"))


def _forget(_packet: Datagram) -> None:
    """A reader of packets that are nobody's has read one."""


DAEMONS: Final[dict[str, Callable[[Home], Daemon]]] = {
    "heartbeat": HeartbeatDaemon,
    "initiator": InitiatorDaemon,
    "service": ServiceDaemon,
    "traffic": TrafficDaemon,
}
"""What makes each daemon, by its name."""
