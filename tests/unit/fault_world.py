"""A cluster of stand-ins that faults act on, with a clock that the test sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

from crunchbed.faults.action import FaultAction, FaultContext
from crunchbed.faults.kinds import MODELS
from crunchbed.run.fence_device import FenceDevice
from crunchbed.run.world import Impairment, NodeSilent, NodeStatus, Undo, World
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.faults import FaultBegan
from reserve_agent.errors import CrunchbedError

MS = 1_000_000
CALM = NodeStatus(
    up=True,
    ready=(),
    view=(),
    serving=False,
    misses=0,
    written_pages=0,
    exhausted=0,
    policy="memalloc",
    pressure=False,
    waiting_pages=0,
    free_pages=100,
    reserve_pages=10,
)


class FakeLoop:
    """A clock in milliseconds."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ns(self) -> int:
        return self.ms * MS

    def at(self, _ns: int, _call: Any) -> None:
        raise AssertionError("a fault does not wait by itself")

    def run_until(self, _condition: Any, _seconds: float) -> bool:
        raise AssertionError("a fault does not wait by itself")


class FakeNode:
    """A node whose agent can be killed."""

    daemon_names = ("heartbeat", "initiator", "traffic")

    def __init__(self, name: str, said: list[Any]) -> None:
        self.name = name
        self.said = said
        self.up = True
        self.incarnation = 0
        self.neighbours = 2
        self.reserve = 256
        self.agent = True
        self.paused: set[str] = set()
        self.now: NodeStatus | None = CALM
        self.refusal: CrunchbedError | None = None

    def status(self) -> NodeStatus:
        if self.now is None:
            raise NodeSilent(f"{self.name}: its agent is down")
        return self.now

    def begin_burst(self, pages: int, rate: int, start_ns: int) -> None:
        self.said.append(("burst", self.name, pages, rate, start_ns))

    def calm(self) -> None:
        self.said.append(("calm", self.name))

    def resize(self, reserve: int) -> int:
        if self.refusal is not None:
            raise self.refusal
        was, self.reserve = self.reserve, reserve
        return was

    def pause(self, daemons: Collection[str]) -> None:
        self.said.append(("pause", self.name, *daemons))
        self.paused.update(daemons)

    def resume(self, daemons: Collection[str]) -> None:
        self.said.append(("resume", self.name, *daemons))
        self.paused.difference_update(daemons)

    def forget_neighbours(self) -> int:
        forgotten, self.neighbours = self.neighbours, 0
        return forgotten

    def kill_agent(self) -> bool:
        had, self.agent = self.agent, False
        return had

    def restart_agent(self) -> None:
        self.agent = True


class FakeNetwork:
    """Counts the cuts of every link and keeps the impairments that are on."""

    def __init__(self) -> None:
        self.cuts: Counter[tuple[str, str | None]] = Counter()
        self.impaired: list[Impairment] = []
        self.passes = True
        self.hosts = ("n1", "n2", "n3", "storage")

    def networks(self, _host: str) -> Sequence[str]:
        return ("a", "b")

    def cut(self, host: str, network: str | None = None) -> None:
        self.cuts[host, network] += 1

    def mend(self, host: str, network: str | None = None) -> bool:
        self.cuts[host, network] -= 1
        return self.cuts[host, network] == 0

    def down(self, host: str) -> list[str | None]:
        return [network for (one, network), cuts in self.cuts.items() if one == host and cuts > 0]

    def settled(self, _host: str) -> bool:
        return self.passes

    def impair(self, impairments: Iterable[Impairment]) -> Undo:
        mine = list(impairments)
        self.impaired += mine

        def undo() -> None:
            while mine:
                self.impaired.remove(mine.pop())

        return undo


class FakeDisk:
    """A target that is down (``delay_ns`` None), or takes longer for each write."""

    def __init__(self, said: list[Any]) -> None:
        self.said = said
        self.delay_ns: int | None = 0
        self.paused = False

    def kill_target(self) -> None:
        self.said.append("kill target")
        self.delay_ns = None
        self.paused = False

    def start_target(self, write_delay_ns: int = 0) -> None:
        assert self.delay_ns is None, "its port is taken"
        self.said.append(("start target", write_delay_ns))
        self.delay_ns = write_delay_ns

    def pause_target(self) -> None:
        assert self.delay_ns is not None, "there is no target"
        self.said.append("pause target")
        self.paused = True

    def resume_target(self) -> None:
        self.said.append("resume target")
        self.paused = False


class FakeSwitches:
    """Switches with the links that the test says."""

    def __init__(self) -> None:
        self.on = {"s1": True, "s2": True}
        self.links: Mapping[str, Sequence[str]] = {}
        self.cut_off: Sequence[str] = ()

    def is_on(self, switch: str) -> bool:
        return self.on[switch]

    def turn_off(self, switch: str) -> None:
        self.on[switch] = False

    def turn_on(self, switch: str) -> None:
        self.on[switch] = True

    def links_to(self, _switch: str) -> Mapping[str, Sequence[str]]:
        return self.links

    def cut_off_by(self, _switch: str) -> Sequence[str]:
        return self.cut_off


class FakeController:
    def __init__(self) -> None:
        self.up = True
        self.ready = True

    def kill(self) -> bool:
        had, self.up, self.ready = self.up, False, False
        return had

    def restart(self) -> None:
        self.up = True

    def is_ready(self) -> bool:
        return self.ready


class FakePower:
    """Turns the nodes off and on at once."""

    def __init__(self, nodes: Mapping[str, FakeNode]) -> None:
        self.nodes = nodes
        self.reasons: list[str] = []

    def crash(self, name: str, reason: str) -> bool:
        node = self.nodes[name]
        was, node.up = node.up, False
        if was:
            self.reasons.append(reason)
            node.incarnation += 1
            node.paused.clear()
        return was

    def boot_if_down(self, name: str) -> None:
        self.nodes[name].up = True


class FakeRecorder:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event, /) -> int:
        self.events.append(event)
        return event.t


class FakeWorld:
    """Three nodes and a storage host; ``said`` has what was done to nodes and disk, in order."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.nodes = {name: FakeNode(name, self.said) for name in ("n1", "n2", "n3")}
        self.network = FakeNetwork()
        self.disk: FakeDisk | None = FakeDisk(self.said)
        self.switches: FakeSwitches | None = FakeSwitches()
        self.controller: FakeController | None = None
        self.power = FakePower(self.nodes)
        self.recorder = FakeRecorder()
        self.fences = FenceDevice(lambda _target, _by: True, lambda _target: 0, self.recorder)
        self.loop = FakeLoop()

    @cached_property
    def context(self) -> FaultContext:
        world = cast(World, self)
        return FaultContext(world, self.power, self.recorder, self.loop, self.fences)

    def fault(self, kind: str, **settings: object) -> Any:
        """Return the action of a fault with these settings."""
        section = MODELS[kind].model_validate({"kind": kind, **settings})
        return section.action(self.context)

    def recorded(self) -> list[dict[str, Any]]:
        """Return what stands in the history, without times and nodes."""
        return [event.record() for event in self.recorder.events]


def begin(action: FaultAction[Any]) -> dict[str, Any]:
    """Begin a fault; returns what its event says besides kind and fault."""
    record = action.begin(FaultBegan(fault="x")).record()
    named = ("kind", "fault", "target", "targets")
    return {key: value for key, value in record.items() if key not in named}
