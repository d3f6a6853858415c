"""A running cluster of virtual machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from crunchbed.backends.common.live_run import LiveRun
from crunchbed.backends.common.storage import StorageHost
from crunchbed.backends.common.versions import first_line
from crunchbed.backends.common.world import LiveWorld, network_of
from crunchbed.backends.machines import configs, images
from crunchbed.backends.machines.accelerator import choose
from crunchbed.backends.machines.images import QEMU, Image
from crunchbed.backends.machines.live_machine import LiveMachine
from crunchbed.backends.machines.storage_machine import StorageMachine
from crunchbed.history.recorder import Recorder
from crunchbed.run import signals
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.world import STORAGE, Flood
from crunchbed.scenario.crunch import FloodCrunch
from reserve_agent.errors import RunInvalid
from topologies.lossy import Loss
from topologies.tap import know_neighbours, lose, plug_server_tap, plug_tap, tap_name

_BOOT_SECONDS: Final = 60.0
_BOOT_SECONDS_EACH: Final = 15.0
"""Machines that boot at once take the processors from each other."""
_QUIESCE_SECONDS: Final = 5.0
"""For writes that are under way; the guest of a node that stands still never ends them."""


class MachinesWorld(LiveWorld):
    """A ``LiveWorld`` of machines, each with an attendant on the host.

    Args:
        run: The run.
        image: The kernel that the machines boot.
        recorder: The run's own part of the history.
        loop: Lets time pass, and hears sockets.
        hold: Whether the guests have shells, which take memory of them.
    """

    nodes: Mapping[str, LiveMachine]
    crunch_kinds = ("timed",)

    def __init__(
        self,
        run: LiveRun,
        image: Image,
        recorder: Recorder,
        loop: SelectorLoop,
        *,
        hold: bool = False,
    ) -> None:
        super().__init__(run, recorder, loop)
        self._image = image
        self._hold = hold

    def _start(self) -> None:
        """Choose the accelerator, and start the network and the attendants."""
        self._qemu = first_line((QEMU, "--version"))
        self._accelerator = choose(
            self._image,
            self._run.state,
            lambda command: self._run.spawn("trial", command, cgroup=self._agents.path),
            qemu=self._qemu,
            pump=signals.check,
        )
        self._start_network(network_of(self._run))
        storage = self._network.storage
        macs = configs.neighbours(self._network.nodes, STORAGE)
        know_neighbours(storage, storage.links[0], macs)
        if self._scenario.block_io.transport == "nvme-tcp":
            plug_server_tap(storage, storage.links[0], self._scenario.block_io.port)
        self._start_attendants()

    def _storage_host(self) -> StorageHost:
        if self._scenario.block_io.transport != "nvme-tcp":
            return super()._storage_host()
        hosts = self._network.nodes
        image = replace(self._image, variant=images.STORAGE)
        tap = tap_name(hosts[STORAGE].links[0])
        machine = configs.storage_machine(self._run, hosts, tap, image, self._accelerator)
        return StorageMachine(machine, self._run, hosts, self._loop, self._watched, self._undo)

    def _start_attendants(self) -> None:
        nodes: dict[str, LiveMachine] = {}
        for name in self._scenario.node_names:
            host = self._network.nodes[name]
            tap = plug_tap(host, host.links[0])
            machine = configs.machine(
                self._run, host, tap, self._image, self._accelerator, with_shell=self._hold
            )
            port = self.network.ports[name]
            nodes[name] = LiveMachine(self._run, self._network.nodes, port, machine, self._loop)
        self.nodes = nodes
        for node in nodes.values():
            self._undo.callback(node.stop)
            node.start_attendant(self._agents)
        for node in nodes.values():
            node.attendant.wait()

    def _versions(self) -> Mapping[str, str]:
        """Return what a run's machines are, once they are up."""
        return {
            "qemu": self._qemu,
            "accelerator": self._accelerator,
            "guest kernel": next(iter(self.nodes.values())).kernel(),
            "nic": self._scenario.memory.nic,
            **self._image.programs,
        }

    def _lose(self, node: str, rows: list[list[object]]) -> None:
        host = self._network.nodes[node]
        lose(host, host.links[0], cast("list[Loss]", rows))

    def _power_on(self) -> None:
        """Boot all machines; all of them are ready then, for one that is early would miss others.

        Raises:
            RunInvalid: A guest did not come up.
        """
        for node in self.nodes.values():
            node.power_on()
            self._record_up(node)
        seconds = _BOOT_SECONDS + _BOOT_SECONDS_EACH * len(self.nodes)
        waiting = list(self.nodes.values())

        def ready() -> bool:
            waiting[:] = [
                node for node in waiting if not set(node.daemon_names) <= set(node.status().ready)
            ]
            return not waiting

        if not self._loop.run_until(ready, seconds):
            late = ", ".join(node.name for node in waiting)
            raise RunInvalid(f"not up after {seconds:g} s: {late}; see {self._run.out / 'logs'}")

    def flood(self, target: str, flood: Flood, start_ns: int) -> None:
        """Have the storage host send packets, and the guest's agent keep them."""
        crunch = self._scenario.crunch
        memalloc = isinstance(crunch, FloodCrunch) and crunch.memalloc
        self.nodes[target].open_reader(flood.port, memalloc=memalloc)
        super().flood(target, flood, start_ns)

    def _end_nodes(self) -> None:
        """End what the guests send and write, as far as they can, and then the guests.

        Raises:
            RunInvalid: Attendants did not take it; everything has ended all the same.
        """
        waiting = [node for node in self.nodes.values() if node.has_guest]
        failures: list[str] = []

        def quiet() -> bool:
            for node in tuple(waiting):  # everybody is asked
                try:
                    if not node.ask_to_quiesce():
                        continue
                except RunInvalid as error:
                    failures.append(str(error))
                waiting.remove(node)
            return not waiting

        self._loop.run_until(quiet, _QUIESCE_SECONDS)
        for node in self.nodes.values():
            node.end()
        if failures:
            raise RunInvalid("; ".join(failures))

    def count_packets(self) -> None:
        """Do nothing: the switches of machines have no controller."""
