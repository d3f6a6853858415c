"""A running cluster of network namespaces, started in order and undone in reverse."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import Any

from crunchbed.backends.namespaces.capture import capture
from crunchbed.backends.namespaces.configs import DISK
from crunchbed.backends.namespaces.controller import LiveController
from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.backends.namespaces.live_run import LiveRun, ended_by_itself
from crunchbed.backends.namespaces.network import LiveNetwork
from crunchbed.backends.namespaces.part_watch import PartWatch
from crunchbed.backends.namespaces.read_back import read_back
from crunchbed.backends.namespaces.storage import StorageHost
from crunchbed.backends.namespaces.switches import LiveSwitches
from crunchbed.backends.namespaces.versions import program_versions
from crunchbed.history.recorder import Recorder
from crunchbed.host import room
from crunchbed.live.runs import RUN_SOCKET
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.world import Command, Fence, Flood, ReadBack
from crunchbed.scenario.shed import rules
from nodes.block import target
from nodes.cgroup import NodeCgroup
from nodes.fence_service import FenceServer
from nodes.process import Process
from reserve_agent.contract.events.faults import NodeUp
from reserve_agent.errors import CrunchbedError, RunInvalid
from reserve_agent.lines.server import LineServer
from topologies.cluster import Cluster

_BITS_PER_MEGABIT = 1_000_000


class NamespacesWorld:
    """Implements ``World`` and ``TakesCommands``; a context manager over all that it starts.

    ``controller`` is None where the scenario wants none.
    """

    network: LiveNetwork
    disk: StorageHost
    switches: LiveSwitches

    def __init__(self, run: LiveRun, recorder: Recorder, loop: SelectorLoop) -> None:
        self._agents = NodeCgroup(run.run_id, "agents")
        self._parts = PartWatch(self._agents.path.parent)
        self._run = run = replace(run, started=self._started(run.started))
        self._scenario = run.scenario
        self._recorder = recorder
        self._loop = loop
        self._undo = ExitStack()
        self._watched: list[Process] = []
        self._fences: FenceServer | None = None
        self.nodes: Mapping[str, LiveNode] = {}
        self.commands = self
        openflow = run.scenario.cluster.controller != "none"
        self.controller = LiveController(run) if openflow else None

    def _started(self, told: Callable[[Process], None]) -> Callable[[Process], None]:
        """Have every process that is started watched too."""

        def started(process: Process) -> None:
            told(process)
            self._parts.add(process)

        return started

    def __enter__(self) -> NamespacesWorld:
        try:
            self._build()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _build(self) -> None:
        """Make the network, and start all that is no part of a node that has power."""
        self._undo.callback(self._run.targets.remove)
        self._undo.callback(self._parts.end)
        self._undo.callback(self._agents.remove)
        self._agents.create()
        self._start_network()
        self._start_agents()
        if self.controller is not None:
            self.controller.watch(self._watched)
            self.controller.count_packets()  # what came before the nodes do not know of

    def _start_network(self) -> None:
        """Start switches, links and hosts, and the controller that the switches obey."""
        controller = self.controller
        network = network_of(self._run, controller)
        if controller is not None:
            # First, for a switch that has tried in vain waits a second until it tries again.
            self._undo.callback(controller.stop)
            controller.start(network.description(), self._agents.path)
        self._network = self._undo.enter_context(network)
        if controller is not None:
            self._undo.callback(controller.stop)  # before its switches go, which would be news
        if self._scenario.capture:
            recorded = capture(self._run, network.nodes.values(), self._agents.path)
            self._undo.enter_context(recorded)
        self.network = LiveNetwork(network.nodes, lambda name, rows: self.nodes[name].lose(rows))
        self.switches = LiveSwitches(network.power, self.network.ports)

    def _start_agents(self) -> None:
        """Start all agents at once: loading the hooks is what takes time."""
        controller = self.controller
        told = None if controller is None else controller.told_of_pressure
        self.nodes = {
            name: LiveNode(self._run, self._network.nodes, self.network.ports[name])
            for name in self._scenario.node_names
        }
        for node in self.nodes.values():
            self._undo.callback(node.stop)
            node.start_agent(self._agents.path, told)
        for node in self.nodes.values():
            node.agent.wait()

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """The kind of switch in use, and versions of the programs that may matter to a figure."""
        return {"switch": str(self._network.switch), "versions": program_versions()}

    def boot(self, fence: Fence) -> None:
        """Serve fences and the disk, power every node on, and start the traffic.

        Raises:
            BadInput: The target does not know the initiators' secret, or its port is taken.
            CrunchbedError: The block device is not served.
        """
        self._parts.begin()
        self._fences = FenceServer(
            self._run.state / "fence",
            fence,
            self._loop.selector,
            fence.wait_ns,
            self._loop.at,
        )
        self._undo.callback(self._fences.close)
        self.disk = StorageHost(
            self._run,
            self._network.nodes,
            self.nodes,
            self._loop,
            self._watched,
            self._undo,
        )
        target.make_disk(self._run.state / DISK, self._scenario.block_io.export)
        self.disk.start_target()
        self._undo.callback(self.quiesce)  # the first to be undone: nobody waits for the target
        self._power_on()
        self.disk.start_traffic()

    def _power_on(self) -> None:
        """Boot all nodes; where two of them serve, the others' initiators come once one does."""
        for node in self.nodes.values():
            node.boot()
            node.start_daemons(["heartbeat"])
            self._recorder.record(NodeUp(target=node.name, incarnation=0))
        if self._scenario.block_io.pair:
            self._start_service()
        for node in self.nodes.values():
            node.start_daemons(["initiator", "traffic"])

    def _start_service(self) -> None:
        """Start the pair's services, and try the address that moves as an initiator would."""
        pair = [self.nodes[name] for name in self._scenario.block_io.pair]
        for node in pair:
            node.start_daemons(["service"])
        names = " and ".join(node.name for node in pair)
        if not self._loop.run_until(
            lambda: any(node.status().serving for node in pair), target.START_SECONDS
        ):
            raise CrunchbedError(
                f"waited {target.START_SECONDS:g} s in vain: one of {names} serves the block device"
            )
        self.disk.check_pair_login(pair[0].name)

    def released(self, node: str) -> None:
        """Say that a fenced node boots: it may be fenced again."""
        if self._fences is not None:
            self._fences.released(node)

    def flood(self, target: str, flood: Flood, start_ns: int) -> None:
        """Have the storage host send packets to a reader that does not read."""
        self.disk.flood(target, flood, start_ns)

    def check(self) -> None:
        """Look whether all parts live and the disk has room, and write down what stood still.

        Raises:
            RunInvalid: One ended by itself, or no room is left.
        """
        self._record_late_parts()
        for process in self._watched:
            if process.poll() is not None:
                raise ended_by_itself(process)
        if room.is_full(self._run.state):
            raise RunInvalid(f"{self._run.state}: no room is left for the block target's disk")

    def _record_late_parts(self) -> None:
        for late in self._parts.events():
            self._recorder.record(late)

    def quiesce(self) -> None:
        """End the daemons of every node and all senders: nothing is acknowledged or counted more.

        All daemons are told before one is waited for, so that none misses a peer that ended first.
        The daemon that serves is told last, so that no write fails at the end.
        """
        self._parts.end()
        self._record_late_parts()
        self.disk.end_senders()
        for node in self.nodes.values():
            for name, process in node.daemons.items():
                if name != "service":
                    process.signal(signal.SIGTERM)
        for node in sorted(self.nodes.values(), key=lambda node: node.serves):
            node.end_daemons()

    def count_packets(self) -> None:
        """Have the controller write the packet counters of the switches into the history."""
        if self.controller is not None:
            self.controller.count_packets()

    def read_back(self) -> ReadBack:
        """Read every acknowledged block from the targets' file."""
        return read_back(self._run, self._loop)

    def serve(self, handle: Callable[[Command], Command]) -> None:
        """Answer commands from now on; who asks for the state is answered to the end."""
        server = LineServer(self._run.state / RUN_SOCKET, self._loop.selector, handle)
        self._undo.callback(server.close)

    def storage_place(self) -> Mapping[str, Any]:
        """Return what a shell needs to enter the storage host."""
        return {"pid": self.disk.host.pid, "cgroup": str(self.disk.cgroup.path)}


def network_of(run: LiveRun, controller: LiveController | None) -> Cluster:
    """Describe the network of a run; nothing of it is made yet."""
    scenario = run.scenario
    cluster, shed = scenario.cluster, rules(scenario.shed)
    return Cluster(
        run.run_id,
        nodes=cluster.nodes,
        port_rate_mbit=cluster.port_rate / _BITS_PER_MEGABIT,
        storage_rate_mbit=cluster.storage_rate / _BITS_PER_MEGABIT,
        switch=cluster.switch,  # type: ignore[arg-type]
        storage_nodes=scenario.block_io.pair,
        topology=cluster.topology,  # type: ignore[arg-type]
        leaves=cluster.leaves,
        delay_ns=cluster.delay,
        loss=cluster.loss,
        controller=None if controller is None else controller.listen,
        on_switches=None if controller is None else controller.wait_until_ready,
        deferred_kbit=shed.rate_kbit if shed.mode == "queue" else None,
    )
