"""Faults that overlap on one thing: it is as bad as the worst of them, until the last one ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crunchbed.backends.common import network as live_network
from crunchbed.backends.common.network import LiveNetwork
from crunchbed.backends.common.switches import LiveSwitches
from crunchbed.faults.base import FaultSection
from crunchbed.faults.kinds import FAULT_KINDS, MODELS
from crunchbed.run.fault_injection import FaultInjection
from crunchbed.run.fault_plan import Step, steps
from tests.unit.fault_world import MS, FakeController, FakeSwitches, FakeWorld
from topologies.node import ClusterNode, NodeLink

HOSTS = ("n1", "n2", "n3", "storage")
NETWORKS = ("a", "b")
RESERVE = 256
CRASHES = ("node-crash", "agent-crash", "controller-crash", "switch-crash")


class Controller(FakeController):
    """Has taken over as soon as it is there."""

    def restart(self) -> None:
        self.up = self.ready = True


class Switches(FakeSwitches):
    """The power of the switches alone."""

    def full_name(self, switch: str) -> str:
        return switch


class World(FakeWorld):
    """Stand-ins, but the network that adds losses, delays and cuts up is the real one."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: dict[str, list[list[object]]] = {}
        self.delays: dict[str, int] = {}
        self.down: set[str] = set()
        hosts = {name: self._host(name, number) for number, name in enumerate(HOSTS, 1)}
        self.network = cast(Any, LiveNetwork(hosts, self.losses.__setitem__))
        self.power_of_switches = Switches()
        switches = LiveSwitches(cast(Any, self.power_of_switches), self.network.ports)
        self.switches = cast(Any, switches)
        self.controller = Controller()

    def _host(self, name: str, number: int) -> ClusterNode:
        links = tuple(
            NodeLink(f"eth{i}", f"{name} {network}", f"10.0.{i}.{number}", network, f"s{i + 1}")
            for i, network in enumerate(NETWORKS)
        )
        return ClusterNode(name, name, number, links)

    def set_port(self, link: NodeLink, up: bool) -> None:
        (self.down.discard if up else self.down.add)(link.switch_port)

    def state(self) -> dict[str, object]:
        """Return what faults can hold, as it is."""
        assert self.disk is not None
        assert self.controller is not None
        return {
            "paused": {name: set(node.paused) for name, node in self.nodes.items()},
            "reserves": {name: node.reserve for name, node in self.nodes.items()},
            "up": {name: node.up for name, node in self.nodes.items()},
            "agents": {name: node.agent for name, node in self.nodes.items()},
            "target": (self.disk.delay_ns, self.disk.paused),
            "losses": {
                (name, source): pytest.approx(share)
                for name, rows in self.losses.items()
                for source, share in cast(list[tuple[str, float]], rows)
            },
            "delays": dict(self.delays),
            "down": set(self.down),
            "switches": dict(self.power_of_switches.on),
            "controller": self.controller.up,
        }


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    """Return a maker of worlds; the last one made is the one that ports and delays belong to."""
    worlds: list[World] = []

    def last() -> World:
        return worlds[-1]

    monkeypatch.setattr(ClusterNode, "set_port", lambda _self, *link: last().set_port(*link))
    monkeypatch.setattr(ClusterNode, "has_links", lambda _self, _links: True)
    monkeypatch.setattr(ClusterNode, "addresses_asked_for", lambda _self: set[str]())
    monkeypatch.setattr(
        live_network, "delay_port", lambda port, ns: last().delays.__setitem__(port, ns)
    )
    monkeypatch.setattr(live_network, "undelay_port", lambda port: last().delays.pop(port))

    def made() -> World:
        worlds.append(World())
        return last()

    return made


# --- the model: who holds what


@dataclass
class Model:
    """The faults that are on, in a cluster as the pages of the manual say it is."""

    faults: Sequence[FaultSection]
    on: list[int] = field(default_factory=list)
    boots: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HOSTS[:3], 0))
    boot_of: dict[int, int] = field(default_factory=dict)

    def step(self, step: Step) -> None:
        fault = self.faults[step.fault]
        (target, *_) = fault.targets
        if not step.begins:
            self.on = [number for number in self.on if number != step.fault]
            return
        if fault.kind in ("stall", "resize-reserve") and not self._up(target):
            return  # nothing to hit
        if fault.kind in CRASHES and self._of(fault.kind, target):
            return  # it is down already
        if fault.kind == "node-crash":
            self.boots[target] += 1
        self.on.append(step.fault)
        self.boot_of[step.fault] = self.boots.get(target, 0)

    def _up(self, name: str) -> bool:
        return not any(self._of("node-crash", name))

    def _of(self, kind: str, target: str | None = None) -> list[Any]:
        on = [self.faults[number] for number in self.on]
        return [f for f in on if f.kind == kind and target in (None, *f.targets)]

    def _paused(self, name: str) -> set[str]:
        stalls = [
            cast(Any, self.faults[number])
            for number in self.on
            if self.faults[number].kind == "stall" and self.boot_of[number] == self.boots[name]
        ]
        names = {daemon for one in stalls if one.target == name for daemon in one.daemons}
        return names & {"heartbeat", "initiator", "traffic"}

    def _target(self) -> tuple[int | None, bool]:
        if self._of("target-crash"):
            return None, False
        delays = (one.wdelay for one in self._of("slow-disk"))
        return max(delays, default=0), bool(self._of("stall", "storage"))

    def _losses(self) -> Mapping[tuple[str, str | None], float]:
        left: dict[tuple[str, str | None], float] = {}

        def lose(to: str, of: str | None, share: float) -> None:
            for source in _addresses(of):
                left[to, source] = left.get((to, source), 1.0) * (1 - share)

        for one in self._of("partition"):
            for pair in product(HOSTS[:3], repeat=2):
                if (pair[0] in one.targets) != (pair[1] in one.targets):
                    lose(*pair, 1.0)
        for one in self._of("loss"):
            if one.direction != "out":
                lose(one.target, one.sender, one.share)
            if one.direction != "in":
                for other in HOSTS[:3]:
                    if other != one.target:
                        lose(other, one.target, one.share)
        return {key: 1 - share for key, share in left.items()}

    def _down(self) -> set[str]:
        off = {f"{host} a" for host in HOSTS} if self._of("switch-crash") else set()
        cut = {
            f"{one.target} {network}"
            for one in self._of("link-down")
            for network in NETWORKS
            if one.network in (None, network)
        }
        return off | cut

    def _delays(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for one, network in product(self._of("delay"), NETWORKS):
            port = f"{one.target} {network}"
            found[port] = max(one.delay, found.get(port, 0))
        return found

    def state(self) -> dict[str, object]:
        nodes = HOSTS[:3]
        return {
            "paused": {name: self._paused(name) for name in nodes},
            "reserves": {
                name: min((f.pages for f in self._of("resize-reserve", name)), default=RESERVE)
                for name in nodes
            },
            "up": {name: self._up(name) for name in nodes},
            "agents": {name: not self._of("agent-crash", name) for name in nodes},
            "target": self._target(),
            "losses": self._losses(),
            "delays": self._delays(),
            "down": self._down(),
            "switches": {"s1": not self._of("switch-crash"), "s2": True},
            "controller": not self._of("controller-crash"),
        }


def _addresses(host: str | None) -> tuple[str | None, ...]:
    if host is None:
        return (None,)
    return tuple(f"10.0.{i}.{HOSTS.index(host) + 1}" for i in range(len(NETWORKS)))


# --- random faults


NODE = st.sampled_from(HOSTS[:2])  # two, so that faults meet often
HOST = st.sampled_from(("n1", "storage"))
SHARE = st.sampled_from((0.25, 0.5, 1.0))
WAY = st.sampled_from(("in", "out", "both"))
MORE: Mapping[str, Mapping[str, st.SearchStrategy[Any]]] = {
    "link-down": {"target": HOST, "network": st.sampled_from((None, *NETWORKS))},
    "partition": {"target": st.sampled_from((["n1"], ["n1", "n2"]))},
    "loss": {"target": NODE, "share": SHARE, "direction": WAY},
    "delay": {"target": HOST, "delay": st.sampled_from(("5ms", "9ms"))},
    "node-crash": {"target": NODE},
    "agent-crash": {"target": NODE},
    "slow-disk": {"wdelay": st.sampled_from(("5ms", "9ms"))},
    "stall": {
        "target": NODE,
        "daemons": st.sampled_from((["heartbeat"], ["heartbeat", "traffic"], "all")),
    },
    "burst": {"target": NODE},
    "arp-expiry": {"target": NODE},
    "resize-reserve": {"target": NODE, "pages": st.sampled_from((32, 64, 512))},
}
TIMED = set(FAULT_KINDS) - {"burst", "arp-expiry"}


@st.composite
def faults_of(draw: st.DrawFn, kinds: Sequence[str] = FAULT_KINDS) -> FaultSection:
    kind = draw(st.sampled_from(kinds))
    keys: dict[str, Any] = {"kind": kind, "after": f"{draw(st.integers(0, 9))}ms"}
    keys |= {key: draw(values) for key, values in MORE.get(kind, {}).items()}
    if kind in TIMED:
        keys["for"] = f"{draw(st.integers(1, 9))}ms"
    if kind == "stall" and draw(st.booleans()):
        keys |= {"target": "storage", "daemons": ["target"]}
    return MODELS[kind].model_validate(keys)


def check(world: World, faults: Sequence[FaultSection]) -> None:
    """Let the faults happen millisecond by millisecond, beside the model."""
    before = world.state()
    model = Model(faults)
    to_come = sorted(steps(faults))
    with FaultInjection(faults, world.context) as injected:
        for world.loop.ms in range(20):
            while to_come and to_come[0].at_ns <= world.loop.ms * MS:
                model.step(to_come.pop(0))
            injected.over()
            assert world.state() == model.state(), f"at {world.loop.ms} ms"
    assert world.state() == before
    assert injected.settled()


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(faults=st.lists(faults_of(), min_size=1, max_size=7))
def test_a_thing_is_as_bad_as_the_worst_fault_that_holds_it(
    faults: list[FaultSection], make: Callable[[], World]
) -> None:
    check(make(), faults)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@pytest.mark.parametrize("kind", sorted(TIMED))
def test_faults_of_one_kind_overlap(
    kind: str, data: st.DataObject, make: Callable[[], World]
) -> None:
    check(make(), data.draw(st.lists(faults_of([kind]), min_size=2, max_size=4)))
