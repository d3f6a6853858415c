"""A simulated cluster: its nodes, its network, its storage host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from crunchbed.backends.common.settings import port_rules, portal
from crunchbed.backends.simulation.calm import MOST_IN_BYTES, CalmProbes, Membership
from crunchbed.backends.simulation.disk import MACHINE_NS, Device, Target
from crunchbed.backends.simulation.fences import FenceService
from crunchbed.backends.simulation.host import Host
from crunchbed.backends.simulation.looks import POLL_NS
from crunchbed.backends.simulation.loop import SimulatedLoop, Streams
from crunchbed.backends.simulation.network import SimulatedNetwork
from crunchbed.backends.simulation.node import SimulatedNode
from crunchbed.backends.simulation.tcp_rules import BUNCH_SEGMENTS, USUAL_BUNCH
from crunchbed.history.recorder import Recorder
from crunchbed.run.world import STORAGE, Fence, Flood, ReadBack
from crunchbed.scenario.schema import Scenario
from nodes.block.pattern import Stamp
from nodes.membership.cluster import Cluster
from nodes.membership.roster import Roster
from nodes.pace import Pace
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.faults import NodeUp
from reserve_agent.contract.events.run import PhaseBegan
from topologies import layout

_SEND_NS: Final = 10_000_000
"""How long a sender of traffic (``nodes/traffic.py``) waits before it sends what is due by then. It
starts at a moment that the seed draws, so that it is in step with no heartbeat, agent or crunch."""
_SENDTO_NS: Final = 5_000
"""How long a ``sendto()`` takes: on namespaces packets for one of three nodes were 11 to 23 us
apart. A bunch that came at one instant would leave the pages that are freed while it comes."""


class SimulatedWorld:
    """Implements ``crunchbed.run.world.World``."""

    switches = controller = commands = None
    counts_calm = True
    """Whether calm probes are counted in a summary; a test has them packet by packet."""

    def __init__(
        self,
        scenario: Scenario,
        loop: SimulatedLoop,
        streams: Streams,
        recorder: Recorder,
        parts: Mapping[str, Recorder],
    ) -> None:
        self._scenario = scenario
        self._loop = loop
        self._recorder = recorder
        made = layout.star if scenario.cluster.topology == "star" else layout.split
        self.network = SimulatedNetwork(scenario, made(scenario.cluster.nodes), loop, streams)
        self._storage = Host(STORAGE, loop, self.network, port_rules(scenario))
        if scenario.nic is not None:
            self._storage.acknowledged_together = BUNCH_SEGMENTS.get(scenario.nic, USUAL_BUNCH)
        self._device = Device()
        membership = self._membership()
        self.nodes = {
            name: SimulatedNode(name, scenario, loop, self.network, self._device, part, membership)
            for name, part in parts.items()
        }
        for name, node in self.nodes.items():
            node.memory.phase_ns = streams.fork(f"agent of {name}").randrange(1, POLL_NS)
        servers = [self.nodes[name] for name in scenario.block_io.pair]
        self.disk = StorageTarget(self._storage, scenario, self._device, servers)
        self._fences: FenceService | None = None
        self._quiet = False
        self._traffic_ns = streams.fork("traffic").randrange(1, _SEND_NS)
        self._sends = self._storage.bind(scenario.traffic.port, lambda _packet: None)
        if scenario.summarised:
            recorder.heard = self._tell_sums

    def _membership(self) -> Membership:
        """Return what the heartbeat daemons have in common."""
        scenario = self._scenario
        cluster = None
        if scenario.cluster.nodes > MOST_IN_BYTES:
            indexes = {name: index for index, name in enumerate(scenario.node_names)}
            cluster = Cluster(Roster(indexes), settled=True)
        calm = CalmProbes(self._loop, self.network, count=self.counts_calm)
        return Membership(cluster, calm)

    def _tell_sums(self, event: Event) -> None:
        """At the begin of a phase a summary has what was sent in the one before."""
        if isinstance(event, PhaseBegan):
            for node in self.nodes.values():
                node.tell_sums()

    @property
    def info(self) -> Mapping[str, Any]:
        """No switch, and the one version that decides what comes of a seed."""
        switch = self._scenario.cluster.switch
        return {
            "switch": "simulation" if switch == "auto" else switch,
            "repeatable": True,
            "versions": {"crunchbed": version("crunchbed")},
        }

    def boot(self, fence: Fence) -> None:
        """Power every node on and start the traffic."""
        fences = self._fences = FenceService(self._loop, fence)
        self.disk.start_target()
        for name, node in self.nodes.items():
            node.fences = fences
            node.portal = portal(self._scenario, self._storage.address("storage"))
            node.memory.begin()
            node.power_on()
            self._recorder.record(NodeUp(target=name, incarnation=0))
        traffic = self._scenario.traffic
        if traffic.rate:
            start_ns = self._loop.now_ns() + self._traffic_ns
            pace, names = Pace(traffic.rate, start_ns, None), tuple(self.nodes)
            self._loop.at(start_ns, partial(self._send, pace, names, traffic.size, traffic.port))

    def _send(self, pace: Pace, names: tuple[str, ...], size: int, port: int) -> None:
        """Send what is due by now to each of some nodes, and go on so."""
        if self._quiet:
            return
        now, round_ns = self._loop.now_ns(), len(names) * _SENDTO_NS
        if due := pace.due(now):
            source, spread = self._storage.address("storage"), (due - 1) * round_ns
            for name in names:
                address = self.network.address(name, "storage")
                self._storage.send_to(
                    self._sends, source, address, size, port=port, frames=due, spread_ns=spread
                )
        self._loop.at(now + due * round_ns + _SEND_NS, partial(self._send, pace, names, size, port))

    def released(self, node: str) -> None:
        """Say that a fenced node boots: it may be fenced again."""
        if self._fences is not None:
            self._fences.released(node)

    def flood(self, target: str, flood: Flood, start_ns: int) -> None:
        """Have the storage host send packets to a reader that does not read."""
        pace = Pace(flood.rate, start_ns, start_ns + flood.duration_ns)
        self._loop.at(start_ns, partial(self._send, pace, (target,), flood.size, flood.port))

    def check(self) -> None:
        """There is no process that could die."""

    def quiesce(self) -> None:
        """End the daemons and all senders: nothing more is acknowledged or counted."""
        self._quiet = True
        # Who serves ends last, so that no write fails at the end.
        for node in sorted(self.nodes.values(), key=lambda node: node.serves):
            node.end_daemons()

    def count_packets(self) -> None:
        """No switch counts here."""

    def read_back(self) -> ReadBack:
        """Compare every acknowledged block with the device."""
        expected: dict[int, Stamp] = {}
        for node in self.nodes.values():
            expected |= node.acknowledged
        return self._device.read_back(expected, self._scenario.node_names)


class StorageTarget:
    """Implements ``crunchbed.run.world.MovesDisk``: the target of the storage host, or a pair's."""

    def __init__(
        self, host: Host, scenario: Scenario, device: Device, servers: Sequence[SimulatedNode]
    ) -> None:
        self._servers = servers
        self._host = host
        self._port = scenario.block_io.port
        self._device = device
        self._delay_ns = 0 if scenario.nic is None else MACHINE_NS
        self._target: Target | None = None

    def kill_target(self) -> None:
        """Kill the target, wherever it is."""
        for node in self._servers:
            node.kill_target()
        target, self._target = self._target, None
        if target is not None:
            target.kill()

    def start_target(self, write_delay_ns: int = 0) -> None:
        """Start the target on the same data; a pair starts its own."""
        if self._servers:
            return
        self._target = Target(self._host, self._port, self._device, self._delay_ns + write_delay_ns)

    def pause_target(self) -> None:
        """Have the target stand still; its connections stay."""
        if self._target is not None:
            self._target.pause()

    def resume_target(self) -> None:
        """Let the target go on."""
        if self._target is not None:
            self._target.resume()
