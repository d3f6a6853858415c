"""Probes of which nothing comes but their answers: they are counted, and no packet is made.

In a large cluster nearly every probe is one of these. A node that rests has nothing to tell and
nothing to find out; its probe of another one that rests, over links that nothing else uses at that
moment, into memory that is far from R, is answered after four hops, and both nodes are as before.
So the exchange is counted, at a fiftieth of what its two packets cost. Everything else goes packet
by packet: see ``CalmProbes.answered`` for what that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from crunchbed.backends.simulation.heartbeats import HeartbeatDaemon
    from crunchbed.backends.simulation.loop import SimulatedLoop
    from crunchbed.backends.simulation.network import SimulatedNetwork

_SPARE_NS: Final = 10_000
"""What is still to happen at the end of a round trip has happened by then."""


class CalmProbes:
    """Knows the heartbeat daemons of all nodes, and whether a probe can only be answered.

    Args:
        loop: The run's.
        network: That of the nodes.
        count: Whether calm probes are counted; otherwise every one goes packet by packet.
    """

    def __init__(self, loop: SimulatedLoop, network: SimulatedNetwork, *, count: bool) -> None:
        self._loop = loop
        self._network = network
        self._count = count
        self._daemons: dict[str, HeartbeatDaemon] = {}

    def join(self, name: str, daemon: HeartbeatDaemon) -> None:
        """A node has a heartbeat daemon."""
        self._daemons[name] = daemon

    def leave(self, name: str) -> None:
        """A node has none any more."""
        self._daemons.pop(name, None)

    def deviates(self, name: str) -> bool:
        """Whether something is the matter with a node, so that its datagrams may be asked for."""
        daemon = self._daemons.get(name)
        return daemon is None or name in self._network.rough or daemon.is_held_up

    def expect(self, name: str, leaves_ns: int) -> None:
        """A packet is on its way to a node: what comes to it meanwhile goes packet by packet too.

        The packet leaves its sender's interface at ``leaves_ns``.
        """
        if (daemon := self._daemons.get(name)) is not None:
            ends_ns = leaves_ns + self._network.round_trip_ns + _SPARE_NS
            daemon.alert_until_ns = max(daemon.alert_until_ns, ends_ns)

    def answered(self, prober: HeartbeatDaemon) -> bool:
        """Count a probe of a node that rests, if it can only be answered.

        Until the answer is there nobody may do anything to the two nodes but this: neither the run,
        nor another packet, nor another daemon on them. The links carry nothing else, and both
        memories are far from anything that would be noticed.
        """
        network, now = self._network, self._loop.now_ns()
        ends_ns = now + network.round_trip_ns + _SPARE_NS
        if not self._count or ends_ns > self._loop.step_ends_ns or not prober.free_until(ends_ns):
            return False
        target = prober.rules.foresee()
        probed = self._daemons.get(target or "")
        if probed is None or prober.name_of in network.rough or target in network.rough:
            return False
        if not probed.rests or not probed.free_until(ends_ns):
            return False
        if not (network.idle(prober.name_of) and network.idle(probed.name_of)):
            return False
        if not prober.rules.exchange(probed.rules, now):
            return False
        prober.count_exchange(now)
        probed.count_exchange(now)
        return True
