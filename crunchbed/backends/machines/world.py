"""A running cluster of machines, started in order and undone in reverse."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import cached_property
from typing import Any, Final

from crunchbed.backends.machines import configs
from crunchbed.backends.machines.accelerator import choose
from crunchbed.backends.machines.images import QEMU, Image
from crunchbed.backends.machines.live_machine import LiveMachine
from crunchbed.backends.namespaces.capture import capture
from crunchbed.backends.namespaces.configs import DISK
from crunchbed.backends.namespaces.live_run import LiveRun, ended_by_itself
from crunchbed.backends.namespaces.network import LiveNetwork
from crunchbed.backends.namespaces.read_back import read_back
from crunchbed.backends.namespaces.storage import StorageHost
from crunchbed.backends.namespaces.switches import LiveSwitches
from crunchbed.backends.namespaces.versions import first_line, program_versions
from crunchbed.backends.namespaces.world import network_of
from crunchbed.history.recorder import Recorder
from crunchbed.run import signals
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.world import STORAGE, Fence, Flood, ReadBack
from nodes.block import target
from nodes.cgroup import NodeCgroup
from nodes.fence_service import FenceServer
from nodes.process import Process
from reserve_agent.contract.events.faults import NodeUp
from reserve_agent.errors import CrunchbedError, RunInvalid
from topologies.tap import know_neighbours, plug_tap

_BOOT_SECONDS: Final = 60.0
_BOOT_SECONDS_EACH: Final = 15.0
"""Machines that boot at once take the processors from each other."""
_QUIESCE_SECONDS: Final = 5.0
"""For writes that are under way; the guest of a node that stands still never ends them."""


class MachinesWorld:
    """Implements ``World``; a context manager over all that it starts.

    Args:
        run: The run.
        image: The kernel that the machines boot.
        recorder: The run's own part of the history.
        loop: Lets time pass, and hears sockets.

    Attributes:
        nodes: The machines by name.
        network: Their switch ports and delays.
        disk: The storage host.
        switches: The power of the switches.
    """

    network: LiveNetwork
    disk: StorageHost
    switches: LiveSwitches
    controller = None
    commands = None

    def __init__(self, run: LiveRun, image: Image, recorder: Recorder, loop: SelectorLoop) -> None:
        self._run = run
        self._scenario = run.scenario
        self._image = image
        self._recorder = recorder
        self._loop = loop
        self._undo = ExitStack()
        self._watched: list[Process] = []
        self._fences: FenceServer | None = None
        self.nodes: Mapping[str, LiveMachine] = {}

    def __enter__(self) -> MachinesWorld:
        try:
            self._build()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _build(self) -> None:
        """Make the network, and start all that is no part of a machine that has power."""
        self._undo.callback(self._run.targets.remove)
        self._agents = NodeCgroup(self._run.run_id, "agents")
        self._undo.callback(self._agents.remove)
        self._agents.create()
        self._qemu = first_line((QEMU, "--version"))
        self._accelerator = choose(
            self._image,
            self._run.state,
            lambda command: self._run.spawn("trial", command, cgroup=self._agents.path),
            qemu=self._qemu,
            pump=signals.check,
        )
        self._start_network()
        self._start_attendants()

    def _start_network(self) -> None:
        network = self._network = self._undo.enter_context(network_of(self._run, None))
        if self._scenario.capture:
            recorded = capture(self._run, network.nodes.values(), self._agents.path)
            self._undo.enter_context(recorded)
        self.network = LiveNetwork(network.nodes, _lose)
        self.switches = LiveSwitches(network.power, self.network.ports)
        storage = network.storage
        macs = configs.neighbours(network.nodes, STORAGE)
        know_neighbours(storage, storage.links[0], macs)

    def _start_attendants(self) -> None:
        nodes: dict[str, LiveMachine] = {}
        for name in self._scenario.node_names:
            host = self._network.nodes[name]
            tap = plug_tap(host, host.links[0])
            machine = configs.machine(self._run, host, tap, self._image, self._accelerator)
            port = self.network.ports[name]
            nodes[name] = LiveMachine(self._run, self._network.nodes, port, machine, self._loop)
        self.nodes = nodes
        for node in nodes.values():
            self._undo.callback(node.stop)
            node.start_attendant(self._agents)
        for node in nodes.values():
            node.attendant.wait()

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """The kind of switch, and versions of what may matter to a figure, once machines are up."""
        first = next(iter(self.nodes.values()))
        versions = {
            "qemu": self._qemu,
            "accelerator": self._accelerator,
            "guest kernel": first.kernel(),
            "nic": self._scenario.memory.nic,
        }
        return {
            "switch": str(self._network.switch),
            "versions": {**program_versions(), **versions, **self._image.programs},
        }

    def boot(self, fence: Fence) -> None:
        """Serve fences and the disk, boot every machine, and start the traffic.

        Returns when all guests are ready, for one that is early is not to miss one that is late.

        Raises:
            BadInput: The target's port is taken.
            CrunchbedError: The block device is not served.
            RunInvalid: A guest did not come up.
        """
        self._fences = FenceServer(
            self._run.state / "fence",
            fence,
            self._loop.selector,
            wait_ns=fence.wait_ns,
            later=self._loop.at,
        )
        self._undo.callback(self._fences.close)
        hosts = self._network.nodes
        self.disk = StorageHost(self._run, hosts, {}, self._loop, self._watched, self._undo)
        target.make_disk(self._run.state / DISK, self._scenario.block_io.export)
        self.disk.start_target()
        self._undo.callback(self.quiesce)  # the first to be undone: nobody waits for the target
        for node in self.nodes.values():
            node.power_on()
            self._recorder.record(NodeUp(target=node.name, incarnation=0))
        self._await_guests()
        self.disk.start_traffic()

    def _await_guests(self) -> None:
        seconds = _BOOT_SECONDS + _BOOT_SECONDS_EACH * len(self.nodes)
        waiting = list(self.nodes.values())

        def ready() -> bool:
            while waiting and set(waiting[0].daemon_names) <= set(waiting[0].status().ready):
                waiting.pop(0)
            return not waiting

        if not self._loop.run_until(ready, seconds):
            late = ", ".join(node.name for node in waiting)
            raise RunInvalid(f"not up after {seconds:g} s: {late}; see {self._run.out / 'logs'}")

    def released(self, node: str) -> None:
        """Say that a fenced node boots: it may be fenced again."""
        if self._fences is not None:
            self._fences.released(node)

    def flood(self, target: str, flood: Flood, start_ns: int) -> None:
        """Have the storage host send packets; a machine has no reader for them yet."""
        self.disk.flood(target, flood, start_ns)

    def check(self) -> None:
        """Look whether the target and the senders live."""
        for process in self._watched:
            if process.poll() is not None:
                raise ended_by_itself(process)

    def quiesce(self) -> None:
        """End what the guests send and write, as far as they can, and then the guests."""
        self.disk.end_senders()
        waiting = [node for node in self.nodes.values() if node.up]

        def quiet() -> bool:
            answers = [node.ask_to_quiesce() for node in waiting]  # everybody is asked
            return all(answers)

        with suppress(CrunchbedError):
            self._loop.run_until(quiet, _QUIESCE_SECONDS)
        for node in self.nodes.values():
            node.end()

    def count_packets(self) -> None:
        """Do nothing: the switches of machines have no controller."""

    def read_back(self) -> ReadBack:
        """Read every acknowledged block from the target's file."""
        return read_back(self._run, self._loop)


def _lose(node: str, _rows: list[list[object]]) -> None:
    raise CrunchbedError(f"{node}: a machine loses no packets for a fault")
