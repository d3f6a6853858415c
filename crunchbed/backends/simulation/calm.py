"""Probes of which nothing comes but their answers: they are counted, and no packet is made.

In a large cluster nearly every probe is one of these. A node that rests has nothing to tell and
nothing to find out; its probe of another one that rests, over links that nothing else uses at that
moment, into memory that is far from R, is answered after four hops, and both nodes are as before.
So the exchange is counted, at a fiftieth of what its two packets cost. Everything else goes packet
by packet: see ``CalmProbes.answered`` for what that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from crunchbed.backends.simulation.loop import SimulatedLoop
from crunchbed.backends.simulation.network import SimulatedNetwork
from nodes.membership.cluster import Cluster
from nodes.membership.turn import HeartbeatNode

MOST_IN_BYTES: Final = 32
"""Nodes whose datagrams have bytes, as those of namespaces; of more they are values."""
_SPARE_NS: Final = 10_000
"""What is still to happen at the end of a round trip has happened by then."""


class Prober(Protocol):
    """The heartbeat daemon of a node, as far as its probes may be calm.

    Attributes:
        rules: Its part in the protocol.
        rests: Whether its next turn of itself is a probe that may be a calm one.
        alert_until_ns: Until when a packet may be on its way to it.
    """

    rules: HeartbeatNode
    rests: bool
    alert_until_ns: int

    @property
    def node_name(self) -> str:
        """Its node."""

    @property
    def is_held_up(self) -> bool:
        """Whether it stands still, or its node is short of memory."""

    def free_until(self, ns: int) -> bool:
        """Whether nothing that is known of comes to this node until then, or from it."""

    def count_exchange(self, now: int) -> None:
        """Count one datagram that was sent now, and one that was received."""


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
        self._daemons: dict[str, Prober] = {}

    def join(self, name: str, daemon: Prober) -> None:
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

    def answered(self, prober: Prober) -> bool:
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
        if probed is None or prober.node_name in network.rough or target in network.rough:
            return False
        if not probed.rests or not probed.free_until(ends_ns):
            return False
        if not (network.idle(prober.node_name) and network.idle(probed.node_name)):
            return False
        if not prober.rules.exchange(probed.rules, now):
            return False
        prober.count_exchange(now)
        probed.count_exchange(now)
        return True


@dataclass(frozen=True)
class Membership:
    """What the heartbeat daemons of a run have in common.

    Attributes:
        cluster: None where datagrams have bytes.
    """

    cluster: Cluster | None
    calm: CalmProbes
