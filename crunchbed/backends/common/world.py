"""A running cluster, whatever its nodes are made of: started in order and undone in reverse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, Self

from crunchbed.backends.common.capture import capture
from crunchbed.backends.common.configs import DISK
from crunchbed.backends.common.live_run import LiveRun, ended_by_itself
from crunchbed.backends.common.network import LiveNetwork
from crunchbed.backends.common.part_watch import PartWatch
from crunchbed.backends.common.read_back import read_back
from crunchbed.backends.common.storage import ServesDisk, StorageHost
from crunchbed.backends.common.switches import LiveSwitches
from crunchbed.backends.common.versions import program_versions
from crunchbed.checks.lateness import seen_from_outside
from crunchbed.history.recorder import Recorder
from crunchbed.host import room
from crunchbed.live.runs import RUN_SOCKET
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.world import Command, Fence, Flood, KillsController, Node, ReadBack
from crunchbed.scenario.shed import rules
from crunchbed.scenario.units import seconds
from nodes.block import target
from nodes.cgroup import NodeCgroup, killed_with_this_process
from nodes.fence_service import FenceServer
from nodes.process import Process
from reserve_agent.contract.events.faults import NodeUp
from reserve_agent.errors import CrunchbedError, RunInvalid
from reserve_agent.lines.server import LineServer
from topologies.cluster import Cluster

_BITS_PER_MEGABIT = 1_000_000
_LONG_NS: Final = 1_000_000_000
"""What a part that boots or starts may have to wait for a processor."""
_MOST_NAMED: Final = 3


class LiveWorld(ABC):
    """Implements ``World`` and ``TakesCommands``; a context manager over all that it starts.

    A backend says what its nodes are, how they are started, and how they end.

    Attributes:
        nodes: The nodes by name, once they are made.
        network: Their switch ports, losses and delays.
        disk: The storage host.
        switches: The power of the switches.
        controller: None where the scenario wants none.
    """

    nodes: Mapping[str, Node]
    network: LiveNetwork
    disk: StorageHost
    switches: LiveSwitches
    controller: KillsController | None = None
    crunch_kinds: Sequence[str] = ("timed", "writeback", "flood")

    def __init__(self, run: LiveRun, recorder: Recorder, loop: SelectorLoop) -> None:
        self._agents = NodeCgroup(run.run_id, "agents")
        self._parts = PartWatch(self._agents.path.parent)
        self._run = replace(run, started=self._started(run.started))
        self._scenario = run.scenario
        self._recorder = recorder
        self._loop = loop
        self._undo = ExitStack()
        self._watched: list[Process] = []
        self._longest_ns: dict[str, int] = {}  # of each part, how long it stood still at a time
        self._fences: FenceServer | None = None
        self.nodes = {}
        self.commands = self

    @abstractmethod
    def _start(self) -> None:
        """Make network and nodes, and start all that is no part of a node that has power."""

    @abstractmethod
    def _power_on(self) -> None:
        """Boot all nodes."""

    @abstractmethod
    def _end_nodes(self) -> None:
        """End what the nodes send and write, so that nothing more is acknowledged or counted."""

    @abstractmethod
    def _lose(self, node: str, rows: list[list[object]]) -> None:
        """Lose packets on their way into a node; the rows are those of ``LiveNetwork``."""

    def _servers(self) -> Sequence[ServesDisk]:
        """Return the nodes that serve the block device in place of the storage host."""
        return ()

    def _storage_host(self) -> StorageHost:
        """Return the storage host, whose target is not started yet."""
        return StorageHost(
            self._run,
            self._network.nodes,
            self._servers(),
            self._loop,
            self._watched,
            self._undo,
        )

    def _versions(self) -> Mapping[str, str]:
        """Return the versions that only this backend has."""
        return {}

    def _started(self, told: Callable[[Process], None]) -> Callable[[Process], None]:
        """Have every process that is started watched too."""

        def started(process: Process) -> None:
            told(process)
            self._parts.add(process)

        return started

    def __enter__(self) -> Self:
        self._undo.callback(self._run.targets.remove)
        self._undo.enter_context(killed_with_this_process(self._agents.path.parent))
        self._undo.callback(self._parts.end)
        self._undo.callback(self._agents.remove)
        try:
            self._agents.create()
            self._start()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _start_network(self, network: Cluster) -> None:
        """Start switches, links and hosts."""
        self._network = self._undo.enter_context(network)
        if self._scenario.capture:
            recorded = capture(self._run, network.nodes.values(), self._agents.path)
            self._undo.enter_context(recorded)
        self.network = LiveNetwork(network.nodes, self._lose)
        self.switches = LiveSwitches(network.power, self.network.ports)

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """The kind of switch in use, and versions of what may matter to a figure."""
        versions = {**program_versions(), **self._versions()}
        return {"switch": str(self._network.switch), "versions": versions}

    def boot(self, fence: Fence) -> None:
        """Serve fences and the disk, power every node on, and start the traffic.

        Raises:
            BadInput: The target does not know the initiators' secret, or its port is taken.
            CrunchbedError: The block device is not served.
            RunInvalid: A node did not come up.
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
        self.disk = self._storage_host()
        target.make_disk(self._run.state / DISK, self._scenario.block_io.export)
        self.disk.start_target()
        # The first to be undone: nobody waits for the target.
        self._undo.callback(self._quiesce_at_last)
        self._boot_nodes()
        self.disk.start_traffic()

    def _boot_nodes(self) -> None:
        """Power every node on; an error says too what stood still meanwhile."""
        try:
            self._power_on()
        except CrunchbedError as error:
            stood = self._stood_still()
            if not stood or error.exit_code != RunInvalid.exit_code:
                raise
            raise RunInvalid("; ".join((str(error), *stood))) from error

    def _record_up(self, node: Node) -> None:
        self._recorder.record(NodeUp(target=node.name, incarnation=0))

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
            name = seen_from_outside(late).name
            self._longest_ns[name] = max(late.late_ns, self._longest_ns.get(name, 0))

    def _stood_still(self) -> list[str]:
        """End the watch over the parts, and say which of them stood still for long until now."""
        self._parts.end()
        self._record_late_parts()
        found = sorted(self._longest_ns.items(), key=lambda one: -one[1])
        return [
            f"{name} stood still for {seconds(ns):.3f} s"
            for name, ns in found[:_MOST_NAMED]
            if ns > _LONG_NS
        ]

    def quiesce(self) -> None:
        """End the nodes' daemons and all senders: nothing more is acknowledged or counted."""
        self._parts.end()
        self._record_late_parts()
        self.disk.end_senders()
        self._end_nodes()

    def _quiesce_at_last(self) -> None:
        """End what ``quiesce`` ends; why the run is over was told before."""
        with suppress(CrunchbedError):
            self.quiesce()

    @abstractmethod
    def count_packets(self) -> None:
        """Write the packet counters of the switches into the history."""

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


def network_of(
    run: LiveRun,
    controller: tuple[str, int] | None = None,
    on_switches: Callable[[], None] | None = None,
) -> Cluster:
    """Describe the network of a run; nothing of it is made yet.

    Args:
        run: The run.
        controller: Where the switches find their controller; None: they have none.
        on_switches: Called when all switches have been started.
    """
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
        controller=controller,
        on_switches=on_switches,
        deferred_kbit=shed.rate_kbit if shed.mode == "queue" else None,
    )
