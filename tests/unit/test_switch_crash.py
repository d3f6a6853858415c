"""A switch that fails: who is cut off by it, what is taken back, and how long that took."""

from __future__ import annotations

from typing import Any

import pytest

from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.faults import cut_off_since, fault_spans
from crunchbed.checks.paths import path_restore_seconds, rings_restore_seconds
from crunchbed.faults.action import NotPossible
from crunchbed.faults.switch_crash import SwitchCrash
from crunchbed.run.fault_injection import FaultInjection
from crunchbed.scenario.loader import load
from crunchbed.scenario.units import duration_ns
from reserve_agent.errors import BadInput
from tests.unit.fault_world import FakeController, FakeSwitches, FakeWorld, begin
from tests.unit.recording import MS, Recording
from topologies import layout, power
from topologies.power import SwitchPower

REQUEST = 16384


def world(
    cut_off: tuple[str, ...] = (), **links: tuple[str, ...]
) -> tuple[FakeWorld, FakeSwitches]:
    """A cluster whose switch s1 has these links, and cuts these hosts off when it fails."""
    made, switches = FakeWorld(), FakeSwitches()
    switches.links, switches.cut_off = links, cut_off
    made.switches = switches
    return made, switches


def ports(bench: FakeWorld) -> list[tuple[str, str]]:
    return [(event["kind"], event["target"]) for event in bench.recorded()]


def test_a_node_with_another_ring_is_not_cut_off() -> None:
    bench, switches = world(n1=("a",))
    fault = bench.fault("switch-crash")
    assert begin(fault) == {"cut": (), "lost": {"n1": ("a",)}}
    assert not switches.on["s1"]
    fault.undo()
    assert switches.on["s1"]
    assert bench.recorded() == []


def test_one_without_is_and_its_port_is_up_once_packets_pass() -> None:
    bench, _ = world(("n1",), n1=("cluster",))
    fault = bench.fault("switch-crash")
    assert begin(fault) == {"cut": ("n1",), "lost": {"n1": ("cluster",)}}
    assert bench.recorded() == [{"kind": "port.down", "target": "n1", "switch": "s1"}]
    bench.network.passes = False
    fault.undo()
    fault.undo()
    assert fault.settling()
    bench.network.passes = True
    assert not fault.settling()
    assert not fault.settling()
    assert ports(bench) == [("port.down", "n1"), ("port.up", "n1")]


def test_packets_pass_once_the_controller_has_taken_over_or_after_five_seconds() -> None:
    bench, _ = world(("n1",), n1=("cluster",))
    bench.controller = FakeController()
    bench.controller.ready = False
    fault = bench.fault("switch-crash")
    begin(fault)
    fault.undo()
    bench.loop.ms = 4999
    assert fault.settling()
    bench.loop.ms = 5000
    assert not fault.settling()
    assert ports(bench)[-1] == ("port.up", "n1")


def test_a_switch_that_is_down_cannot_fail() -> None:
    bench, switches = world(("n1",), n1=("cluster",))
    switches.on["s1"] = False
    fault = bench.fault("switch-crash")
    with pytest.raises(NotPossible, match="s1 was down"):
        begin(fault)
    fault.undo()
    assert not switches.on["s1"]


def test_an_ejection_of_who_is_cut_off_is_true() -> None:
    bench, _ = world(("n1",), n1=("cluster",))
    section = SwitchCrash.model_validate({"kind": "switch-crash", "after": "0s"})
    with FaultInjection([section], bench.context) as injected:
        bench.loop.ms = 5
        injected.over()
        assert injected.cut_off_since("n1", "n2") == 5 * MS
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
    monkeypatch.setattr(power.ovs, "take_apart", lambda name: done.append(("delete", name)))
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
