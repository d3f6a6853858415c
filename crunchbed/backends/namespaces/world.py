"""A running cluster of network namespaces, started in order and undone in reverse."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any

from crunchbed.backends.namespaces.capture import capture
from crunchbed.backends.namespaces.commands import Commands
from crunchbed.backends.namespaces.controller import LiveController
from crunchbed.backends.namespaces.daemons import Places
from crunchbed.backends.namespaces.live_agent import LiveAgent, ended_by_itself
from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.backends.namespaces.make_network import make_network
from crunchbed.backends.namespaces.network import LiveNetwork
from crunchbed.backends.namespaces.read_back import read_back
from crunchbed.backends.namespaces.storage import StorageHost
from crunchbed.backends.namespaces.switches import LiveSwitches
from crunchbed.backends.namespaces.targets import Targets
from crunchbed.backends.namespaces.versions import program_versions
from crunchbed.host.run_ids import RunClaim
from crunchbed.run.backend import Setup
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.world import Fence, Flood, ReadBack
from nodes.block import target
from nodes.cgroup import NodeCgroup
from nodes.fencing import FenceServer
from nodes.process import Process
from reserve_agent.contract.events.faults import NodeUp
from reserve_agent.errors import CrunchbedError


class NamespacesWorld:
    """Implements ``crunchbed.run.world.World``; a context manager over all that it starts.

    Args:
        setup: What the cluster is made of.
        state: The run's claim to its id.
        places: Where the run keeps things.
        loop: Lets time pass, and hears sockets.

    Attributes:
        nodes: The cluster nodes by name.
        network: Their switch ports, losses and delays.
        disk: The storage host.
        switches: The power of the switches.
        controller: The OpenFlow controller; None where the scenario wants none.
        commands: Hears other terminals.
        targets: Says where metrics are served.
    """

    network: LiveNetwork
    disk: StorageHost
    switches: LiveSwitches
    commands: Commands

    def __init__(self, setup: Setup, state: RunClaim, places: Places, loop: SelectorLoop) -> None:
        self._setup = setup
        self._scenario = setup.scenario
        self._started = state.add_process
        self._places = places
        self._loop = loop
        self._undo = ExitStack()
        self._watched: list[Process] = []
        self._fences: FenceServer | None = None
        self.nodes: Mapping[str, LiveNode] = {}
        self.targets = Targets(places.run_id, setup.scenario)
        self.controller = LiveController.of(setup.scenario, places, self._started, self.targets)

    def __enter__(self) -> NamespacesWorld:
        try:
            self._build()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    def _build(self) -> None:
        """Make the network, and start all that is no part of a node that has power."""
        self._undo.callback(self.targets.remove)
        self._agents = NodeCgroup(self._places.run_id, "agents")
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
        network = make_network(self._scenario, self._places.run_id, controller)
        if controller is not None:
            # First, for a switch that has tried in vain waits a second until it tries again.
            self._undo.callback(controller.stop)
            controller.start(network.description(), self._agents.path)
        self._network = self._undo.enter_context(network)
        if controller is not None:
            self._undo.callback(controller.stop)  # before its switches go, which would be news
        if self._scenario.capture:
            recorded = capture(
                network.nodes.values(), self._setup.out, self._agents.path, self._started
            )
            self._undo.enter_context(recorded)
        self.network = LiveNetwork(network.nodes, lambda name, rows: self.nodes[name].lose(rows))
        self.switches = LiveSwitches(network.power, self.network.ports)

    def _start_agents(self) -> None:
        """Start all agents at once: loading the hooks is what takes time."""
        controller = self.controller
        told = None if controller is None else controller.told_of_pressure
        self.nodes = {name: self._make_node(name) for name in self._scenario.node_names}
        for node in self.nodes.values():
            self._undo.callback(node.stop)
            node.start_agent(self._agents.path, told)
        for node in self.nodes.values():
            node.wait_for_agent()

    def _make_node(self, name: str) -> LiveNode:
        agent = LiveAgent(name, self._places, self._started, self.targets)
        hosts, port = self._network.nodes, self.network.ports[name]
        return LiveNode(self._scenario, self._places, hosts, port, agent, self._started)

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
        self._fences = FenceServer(
            self._places.state / "fence",
            fence,
            self._loop.selector,
            wait_ns=fence.wait_ns,
            later=self._loop.at,
        )
        self._undo.callback(self._fences.close)
        self.disk = StorageHost(
            self._scenario,
            self._places,
            self._network.nodes,
            self.nodes,
            self._loop,
            self._started,
            self._watched,
            self._undo,
        )
        self.commands = Commands(self._places.state, self.disk, self._loop.selector, self._undo)
        self.disk.make_disk()
        self.disk.start_target()
        self._undo.callback(self.quiesce)  # the first to be undone: nobody waits for the target
        self._power_on()
        self.disk.start_traffic()

    def _power_on(self) -> None:
        """Boot all nodes; where two of them serve, the others' initiators come once one does."""
        for node in self.nodes.values():
            node.boot()
            node.start_daemons(["heartbeat"])
            self._setup.recorder.record(NodeUp(target=node.name, incarnation=0))
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
        """Look whether the target, the senders and the controller live.

        Raises:
            RunInvalid: One ended though nobody ended it; with its last words.
        """
        for process in self._watched:
            if process.poll() is not None:
                raise ended_by_itself(process)

    def quiesce(self) -> None:
        """End the daemons of every node and all senders: nothing is acknowledged or counted more.

        All daemons are told before one is waited for, so that none misses a peer that ended first.
        The daemon that serves is told last, so that no write fails at the end.
        """
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
        """Read every acknowledged block from the targets' file.

        Raises:
            RunInvalid: That did not come to an end.
        """
        return read_back(self._scenario, self._places, self._loop)
