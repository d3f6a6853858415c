"""A switch that fails: who is cut off by it, what is taken back, and how long that took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.faults import cut_off_since, fault_spans
from crunchbed.checks.paths import path_restore_seconds, rings_restore_seconds
from crunchbed.history.recorder import Recorder
from crunchbed.run.faults.injector import FaultInjection
from crunchbed.run.faults.protocol import NotPossible, World
from crunchbed.run.faults.switch_crash import SwitchCrashFault
from crunchbed.scenario.faults import SwitchCrash
from crunchbed.scenario.loader import load
from crunchbed.scenario.units import duration_ns
from reserve_agent.errors import BadInput
from tests.unit.recording import MS, Recording
from topologies import layout, power
from topologies.node import ClusterNode, NodeLink
from topologies.power import SwitchPower

REQUEST = 16384


class FakePower:
    """Says which switches are on."""

    def __init__(self) -> None:
        self.on = {"s1": True, "s2": True}

    def full_name(self, name: str) -> str:
        return f"abcd{name}"

    def is_on(self, name: str) -> bool:
        return self.on[name]

    def turn_off(self, name: str) -> None:
        self.on[name] = False

    def turn_on(self, name: str) -> None:
        self.on[name] = True


class FakePort:
    """A host's ports, whose cuts are counted by network."""

    def __init__(self, host: ClusterNode) -> None:
        self.host = host
        self.cuts: list[str | None] = []
        self.passes = True

    def cut(self, network: str | None = None) -> None:
        self.cuts.append(network)

    def mend(self, network: str | None = None) -> bool:
        self.cuts.remove(network)
        return not self.cuts

    def settled(self, _others: Iterable[ClusterNode]) -> bool:
        return self.passes


def host(name: str, *links: tuple[str, str]) -> ClusterNode:
    """A host with links, each (network, switch)."""
    made = tuple(
        NodeLink(f"eth{i}", f"{name}-p{i}", f"10.77.{i}.{name[1:]}", network, f"abcd{switch}")
        for i, (network, switch) in enumerate(links)
    )
    return ClusterNode(name, name, 1, made)


class Bench:
    """A fault on a made-up network."""

    def __init__(self, tmp_path: Path, *hosts: ClusterNode) -> None:
        self.ports = {one.name: FakePort(one) for one in hosts}
        self.power = FakePower()
        self.file = tmp_path / "run.jsonl"
        self.recorder = Recorder(self.file, time.monotonic_ns)
        world = SimpleNamespace(
            ports=self.ports, switches=self.power, recorder=self.recorder, controller=None
        )
        self.section = SwitchCrash.model_validate({"kind": "switch-crash", "target": "s1"})
        self.fault = SwitchCrashFault(self.section, cast(World, world))

    def recorded(self) -> list[tuple[str, str]]:
        events = [orjson.loads(line) for line in self.file.read_bytes().splitlines()]
        return [(event["kind"], event["target"]) for event in events]


Make = Callable[..., Bench]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def made(*hosts: ClusterNode) -> Bench:
            bench = Bench(tmp_path, *hosts)
            stack.callback(bench.recorder.close)
            return bench

        yield made


def test_a_node_with_another_ring_is_not_cut_off(make: Make) -> None:
    bench = make(host("n1", ("a", "s1"), ("b", "s2")))
    assert bench.fault.begin() == {"cut": [], "lost": {"n1": ["a"]}}
    assert not bench.power.on["s1"]
    assert bench.ports["n1"].cuts == ["a"]
    bench.fault.undo()
    assert bench.power.on["s1"]
    assert bench.ports["n1"].cuts == []
    assert bench.recorded() == []


def test_one_without_is_and_its_port_is_up_once_packets_pass(make: Make) -> None:
    both = host("n1", ("cluster", "s1"), ("storage", "s2"))
    bench = make(both, host("n2", ("cluster", "s2")))
    assert bench.fault.begin() == {"cut": ["n1"], "lost": {"n1": ["cluster"]}}
    assert bench.ports["n1"].cuts == ["cluster"]
    assert bench.ports["n2"].cuts == []
    assert bench.recorded() == [("port.down", "n1")]
    bench.ports["n1"].passes = False
    bench.fault.undo()
    assert bench.fault.settling()
    bench.ports["n1"].passes = True
    assert not bench.fault.settling()
    assert not bench.fault.settling()
    assert bench.recorded() == [("port.down", "n1"), ("port.up", "n1")]


def test_a_switch_that_is_down_cannot_fail(make: Make) -> None:
    bench = make(host("n1", ("cluster", "s1")))
    bench.power.on["s1"] = False
    with pytest.raises(NotPossible, match="s1 was down"):
        bench.fault.begin()
    bench.fault.undo()
    assert not bench.power.on["s1"]


def test_an_ejection_of_who_is_cut_off_is_true(make: Make) -> None:
    bench = make(host("n1", ("cluster", "s1")), host("n2", ("cluster", "s2")))
    now = [0]
    section = bench.section.model_copy(update={"after": 0})
    with FaultInjection([section], [bench.fault], bench.recorder, lambda: now[0]) as injected:
        now[0] = 5
        injected.over()
        assert injected.cut_off_since("n1", "n2") == 5
        assert injected.cut_off_since("n2", "n1") is None
    assert injected.cut_off_since("n1", "n2") is None


def test_the_history_says_who_was_cut_off() -> None:
    recording = Recording().complete().fault(1000, 2000, "switch-crash", "s1", cut=["n1"])
    spans = fault_spans(recording.history())
    assert cut_off_since(spans, "n1", "n2") == 1000 * MS
    assert cut_off_since(spans, "n2", "n1") is None


def test_a_token_that_went_around_may_have_been_stopped_by_a_switch() -> None:
    recording = Recording().complete().fault(2000, 3000, "switch-crash", "s1", cut=[])
    for at in (2400, 5000):
        recording.add(at, "heartbeat.miss", "n2", peer=None, seq=0, tag=None, deadline=at * 1000000)
    recording.miss(2450, "n2", "n1", 9)
    causes = [cause for _, cause in cause_of_each(recording.history(), 100_000_000)]
    assert causes == ["link", "unknown", "unknown"], "a heartbeat of ours had another ring"


def crashed() -> Recording:
    """A switch is gone from 2 s to 4 s; n1 writes every 100 ms."""
    recording = Recording().complete().fault(2000, 4000, "switch-crash", "s1", cut=[])
    for ms in range(1000, 9000, 100):
        if not 1900 < ms < 2400:
            recording.ack(ms, "n1", submitted_ms=1900 if ms == 2400 else ms - 100)
    return recording


def test_the_path_is_back_with_the_first_write_that_is_acknowledged() -> None:
    history = crashed().history()
    assert path_restore_seconds(history, "n1", REQUEST) == pytest.approx(0.5)
    assert path_restore_seconds(history, "n2", REQUEST) is None, "it wrote nothing"
    assert rings_restore_seconds(history, "n1") is None


def test_a_stall_of_another_time_is_not_the_paths() -> None:
    recording = Recording().complete().fault(2000, 2050, "switch-crash", "s1", cut=[])
    for ms in (1900, 2000, 2100, 5000, 5100):
        recording.ack(ms, "n1", submitted_ms=ms - 100 if ms != 5000 else 2100)
    assert path_restore_seconds(recording.history(), "n1", REQUEST) == pytest.approx(0.1)


def test_without_a_fault_of_a_path_there_is_no_such_figure() -> None:
    recording = Recording().complete().fault(2000, 4000, "stall", "n1").ack(2100, "n1", 2000)
    assert path_restore_seconds(recording.history(), "n1", REQUEST) is None


@pytest.mark.parametrize(("up", "seconds"), [(4700, 0.7), (3900, 0.0), (None, 6.0)])
def test_rings_are_back_when_the_last_is(up: int | None, seconds: float) -> None:
    recording = crashed()
    recording.add(2500, "ring.down", "n1", ring=0, peer="n2")
    recording.add(2500, "ring.down", "n1", ring=0, peer="n3")
    recording.add(3500, "ring.up", "n1", ring=0, peer="n3")
    if up is not None:
        recording.add(up, "ring.up", "n1", ring=0, peer="n2")
    assert rings_restore_seconds(recording.history(), "n1") == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("topology", "target", "known"),
    [("star", "s2", "s1"), ("redundant", "s3", "s1, s2"), ("leaf-spine", "s5", "s1, s2, s3, s4")],
)
def test_only_a_switch_that_there_is_can_fail(topology: str, target: str, known: str) -> None:
    fault = {"kind": "switch-crash", "target": target}
    with pytest.raises(BadInput, match=rf"faults\[0\]\.target: expected one of {known}, got"):
        load("control").with_overrides({"cluster.topology": topology, "faults": [fault]})


def test_the_shipped_scenario_lets_one_of_two_switches_fail() -> None:
    scenario = load("redundant-switch")
    (fault,) = scenario.faults
    assert (fault.kind, fault.targets) == ("switch-crash", ("s1",))
    assert scenario.cluster.topology == "redundant"
    assert fault.lasts_ns == duration_ns("4s")


@pytest.mark.parametrize("bridged", [True, False])
def test_power_takes_the_switch_and_its_trunks_and_makes_it_again(
    bridged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(power, "set_link", lambda name, up: done.append((name, up)))
    monkeypatch.setattr(power, "delete_links", lambda names: done.append(("delete", *names)))
    monkeypatch.setattr(power, "make_bridge", lambda name, _ports: done.append(("make", name)))
    monkeypatch.setattr(power.ovs, "delete_bridge", lambda name: done.append(("delete", name)))
    monkeypatch.setattr(power.ovs, "vsctl", lambda *words: done.append(words))
    made_by = {"abcds1": ["make", "abcds1"]}
    network = layout.redundant(1, "abcd")
    attached: list[str] = []
    switches = SwitchPower(network, "abcd", bridged, made_by, attached.extend)
    switches.turn_off("s1")
    assert not switches.is_on("s1")
    assert switches.is_on("s2")
    switches.turn_on("s1")
    assert switches.is_on("s1")
    trunk = "abcds1-eth3"
    expected = [(trunk, False), ("delete", "abcds1"), ("make", "abcds1"), (trunk, True)]
    assert done == expected
    assert attached == ["abcds1-eth1", "abcds1-eth2", trunk], "their queues are set up again"
