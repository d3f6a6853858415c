"""The smallest backend: nodes that are a few numbers, on a clock that nobody waits for.

It shows what the seam (``crunchbed/run/backend.py``, ``crunchbed/run/world.py``) asks of a backend.
Its nodes beat, write and vote by rules of a few lines; they have no memory that could run out, and
the backend refuses the scenarios that need any. It takes neither root nor real time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from crunchbed.history.recorder import Recorder
from crunchbed.host.requirements import Requirement
from crunchbed.run.progress import Progress
from crunchbed.run.world import (
    STORAGE,
    Fence,
    ReadBack,
)
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.faults import NodeUp
from tests.unit.heap_loop import HeapLoop
from tests.unit.tiny_node import BLOCKS, MS, TinyNode, lacks

_SWITCH_SETTLES_NS: Final = 30 * MS
_FAULTS: Final = ("link-down", "node-crash")


class TinyNetwork:
    """One switch and a link for each host; a link is down while something has cut it."""

    impair = lacks

    def __init__(self, hosts: tuple[str, ...], loop: HeapLoop) -> None:
        self.hosts = hosts
        self._loop = loop
        self._cuts = dict.fromkeys(hosts, 0)
        self._passes_from = dict.fromkeys(hosts, 0)

    def networks(self, _host: str) -> tuple[str, ...]:
        return ("cluster",)

    def cut(self, host: str, _network: str | None = None) -> None:
        self._cuts[host] += 1

    def mend(self, host: str, _network: str | None = None) -> bool:
        self._cuts[host] -= 1
        self._passes_from[host] = self._loop.now_ns() + _SWITCH_SETTLES_NS
        return self._cuts[host] == 0

    def settled(self, host: str) -> bool:
        return self._cuts[host] > 0 or self._loop.now_ns() >= self._passes_from[host]

    def passes(self, *hosts: str) -> bool:
        """Whether packets pass between these hosts."""
        return all(not self._cuts[host] and self.settled(host) for host in hosts)


class TinyWorld:
    """A few nodes, their network, and a disk that is a dictionary."""

    disk = switches = controller = commands = None
    flood = lacks
    info: Mapping[str, Any] = {"switch": "none", "versions": {}}

    def __init__(
        self,
        scenario: Scenario,
        recorder: Recorder,
        loop: HeapLoop,
        recorders: Mapping[str, Recorder],
    ) -> None:
        self.scenario = scenario
        self.loop = loop
        self.network = TinyNetwork((*self.scenario.node_names, STORAGE), loop)
        self.nodes = {name: TinyNode(name, self, one) for name, one in recorders.items()}
        self.quiet = False
        self.blocks: dict[int, tuple[int, int]] = {}  # the disk: life and write of each block
        self._recorder = recorder
        self._views = itertools.count(1)

    def boot(self, fence: Fence) -> None:
        self._fence = fence
        number, members = next(self._views), tuple(self.nodes)
        for name, node in self.nodes.items():
            node.power_on()
            node.install(number, members)
            self._recorder.record(NodeUp(target=name, incarnation=0))

    def vote(self, by: str, heard: set[str], suspects: set[str]) -> None:
        """Remove a suspect, or let a node join, where ``by`` speaks for a majority."""
        view = self.nodes[by].view
        alive = [name for name in view if name not in suspects]
        if alive[:1] != [by] or 2 * len(alive) <= len(self.nodes):
            return
        gone = next((name for name in view if name in suspects), None)
        if gone is not None and self._fence(gone, by):
            self._install(tuple(alive))
        elif joining := heard - set(view):
            self._install(tuple(name for name in self.nodes if name in {*alive, *joining}))

    def _install(self, members: tuple[str, ...]) -> None:
        number = next(self._views)
        for name in members:
            self.nodes[name].install(number, members)

    def released(self, node: str) -> None:
        """A fence is over at once here."""

    def check(self) -> None:
        """There is no process that could die."""

    def quiesce(self) -> None:
        self.quiet = True

    def count_packets(self) -> None:
        """There is no switch that counts."""

    def read_back(self) -> ReadBack:
        lost = {
            name: BLOCKS
            * sum(self.blocks[block] < write for block, write in node.acknowledged.items())
            for name, node in self.nodes.items()
        }
        checked = BLOCKS * sum(len(node.acknowledged) for node in self.nodes.values())
        ok = checked - sum(lost.values())
        return ReadBack(checked, ok, sum(lost.values()), corrupt=0, bad_of_node=lost)


class TinySite:
    """A run's id and clock."""

    run_id = "tiny"
    places = ()

    def __init__(self) -> None:
        self.loop = HeapLoop()

    def record_directory(self, out: Path) -> None:
        """Nobody looks for this run."""

    @contextmanager
    def start(
        self, scenario: Scenario, out: Path, recorder: Recorder, *, hold: bool = False
    ) -> Iterator[TinyWorld]:
        assert not hold
        parts = out / "history"
        now_ns = self.loop.now_ns
        recorders = {
            name: Recorder(parts / f"{name}.jsonl", now_ns) for name in scenario.node_names
        }
        try:
            yield TinyWorld(scenario, recorder, self.loop, recorders)
        finally:
            for name, one in recorders.items():
                one.finish(name)
                one.close()


class TinyBackend:
    """Worlds without memory."""

    name = "tiny"

    def refuses(self, scenario: Scenario, hold: bool) -> list[str]:
        refused = [f"faults: {one.kind}" for one in scenario.faults if one.kind not in _FAULTS]
        if scenario.crunch is not None:
            refused.append("crunch: these nodes have no memory")
        if hold:
            refused.append("nobody can hold this cluster open")
        return refused

    def requirements(self, _scenario: Scenario) -> Sequence[Requirement]:
        return []

    @contextmanager
    def claim(self, _scenario: Scenario, _seed: int, _progress: Progress) -> Iterator[TinySite]:
        yield TinySite()
