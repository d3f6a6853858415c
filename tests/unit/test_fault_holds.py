"""Each pair of faults that share a thing, and faults that hit nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from crunchbed.checks.faults import cut_off_at, cut_off_since, fault_spans, ports_down
from crunchbed.checks.validity import disturbed
from crunchbed.faults.action import NotPossible
from crunchbed.faults.kinds import MODELS
from crunchbed.history.history import Interval
from crunchbed.run.fault_injection import FaultInjection
from crunchbed.run.fault_plan import draw_faults
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, CrunchbedError
from tests.unit.fault_world import MS, FakeController, FakeWorld, begin
from tests.unit.recording import Recording


@pytest.fixture
def world() -> FakeWorld:
    world = FakeWorld()
    world.controller = FakeController()
    return world


def held_at_the_ends(world: FakeWorld, *faults: dict[str, object]) -> list[object]:
    """Let faults happen in 20 ms; returns what others still held at the end of each."""
    sections = [MODELS[str(keys["kind"])].model_validate(keys) for keys in faults]
    with FaultInjection(sections, world.context) as injected:
        for world.loop.ms in range(20):
            injected.over()
    ends = [one for one in world.recorded() if one["kind"] == "fault.end"]
    assert len(ends) == len(faults)
    return [one.get("still_held") for one in ends]


def around(kind: str, inner: str | None = None, **keys: object) -> list[dict[str, object]]:
    """A fault from 1 to 9 ms, and one of the same keys (or another kind) from 3 to 5 ms."""
    outer = {"kind": kind, "after": "1ms", "for": "8ms", **(keys if inner is None else {})}
    return [outer, {"kind": inner or kind, "after": "3ms", "for": "2ms", **keys}]


# --- pairs


def test_a_daemon_is_woken_by_the_last_stall(world: FakeWorld) -> None:
    held = held_at_the_ends(world, *around("stall"))
    assert held == [["daemon heartbeat of n1"], None]
    assert [word for word, *_ in world.said] == ["pause", "pause", "resume"]


def test_a_stall_of_some_daemons_leaves_the_others_of_a_longer_one(world: FakeWorld) -> None:
    one, other = around("stall")
    held_at_the_ends(world, {**one, "daemons": "all"}, {**other, "daemons": ["heartbeat"]})
    assert world.said[-1] == ("resume", "n1", "heartbeat", "initiator", "traffic")


def test_the_next_boot_has_daemons_that_no_earlier_stall_holds(world: FakeWorld) -> None:
    first, second = world.fault("stall"), world.fault("stall")
    begin(first)
    world.nodes["n1"].incarnation = 1
    begin(second)
    first.undo()
    assert world.said[-1] == ("pause", "n1", "heartbeat"), "the second one lasts"
    second.undo()
    assert world.said[-1] == ("resume", "n1", "heartbeat")


def test_a_reserve_has_the_smallest_size_and_in_the_end_its_own(world: FakeWorld) -> None:
    small, smaller = world.fault("resize-reserve"), world.fault("resize-reserve", pages=32)
    assert begin(small) == {"pages": 64, "was": 256}
    assert begin(smaller) == {"pages": 32, "was": 64}
    node = world.nodes["n1"]
    small.undo()
    assert node.reserve == 32
    smaller.undo()
    assert node.reserve == 256


def test_a_size_that_a_node_refuses_is_not_held(world: FakeWorld) -> None:
    node = world.nodes["n1"]
    held = world.fault("resize-reserve")
    begin(held)
    node.refusal = CrunchbedError("no room for it")
    with pytest.raises(NotPossible, match="no room"):
        begin(world.fault("resize-reserve", pages=32))
    node.refusal = None
    held.undo()
    assert node.reserve == 256


def test_a_target_that_is_down_twice_is_started_once(world: FakeWorld) -> None:
    assert held_at_the_ends(world, *around("target-crash")) == [["the block target down"], None]
    assert world.said == ["kill target", "kill target", ("start target", 0)]


def test_a_target_comes_back_from_a_crash_as_slow_as_the_disk_is(world: FakeWorld) -> None:
    assert held_at_the_ends(world, *around("slow-disk", "target-crash")) == [None, None]
    slow = ("start target", 100 * MS)
    down = "kill target"
    assert world.said == [down, slow, down, slow, down, ("start target", 0)]


def test_a_target_that_is_down_is_not_started_for_a_slow_disk(world: FakeWorld) -> None:
    held_at_the_ends(world, *around("target-crash", "slow-disk"))
    assert world.said == ["kill target", ("start target", 0)]


def test_the_longest_delay_of_a_write_counts(world: FakeWorld) -> None:
    one, other = around("slow-disk")
    held_at_the_ends(world, one, {**other, "wdelay": "300ms"})
    started = [said for said in world.said if said != "kill target"]
    assert started == [("start target", ns * MS) for ns in (100, 300, 100, 0)]


def test_a_target_that_hangs_hangs_again_after_its_crash(world: FakeWorld) -> None:
    hangs = {"kind": "stall", "target": "storage", "after": "1ms", "for": "8ms"}
    held_at_the_ends(world, hangs, {"kind": "target-crash", "after": "3ms", "for": "2ms"})
    start = ("start target", 0)
    assert world.said == ["pause target", "kill target", start, "pause target", "resume target"]


@pytest.mark.parametrize("kind", ["agent-crash", "node-crash", "controller-crash", "switch-crash"])
def test_a_crash_of_what_is_down_is_off_target_and_brings_nothing_back(
    kind: str, world: FakeWorld
) -> None:
    back: list[int] = []
    sections = [MODELS[kind].model_validate(keys) for keys in around(kind)]
    with FaultInjection(sections, world.context) as injected:
        for world.loop.ms in range(20):
            injected.over()
            assert world.switches is not None
            assert world.controller is not None
            node = world.nodes["n1"]
            if node.up and node.agent and world.switches.is_on("s1") and world.controller.up:
                back.append(world.loop.ms)
    assert back == [0, *range(9, 20)]
    begun = [one for one in world.recorded() if one["kind"] == "fault.begin"]
    assert ["impossible" in one for one in begun] == [False, True], "it was down already"


def test_a_node_that_its_fence_has_booted_is_taken_down_until_the_second_ends(
    world: FakeWorld,
) -> None:
    first, second = world.fault("node-crash"), world.fault("node-crash")
    node = world.nodes["n1"]
    begin(first)
    node.up = True
    begin(second)
    assert not node.up
    first.undo()
    assert not node.up
    second.undo()
    assert node.up


def test_packets_and_links_name_what_is_still_held(world: FakeWorld) -> None:
    assert held_at_the_ends(
        world,
        {"kind": "loss", "after": "1ms", "for": "8ms"},
        {"kind": "partition", "target": ["n1"], "after": "3ms", "for": "2ms"},
        {"kind": "delay", "after": "1ms", "for": "8ms"},
        {"kind": "delay", "after": "4ms", "for": "2ms"},
        {"kind": "link-down", "after": "1ms", "for": "9ms"},
        {"kind": "link-down", "network": "a", "after": "4ms", "for": "3ms"},
    ) == [
        ["loss of n2 to n1", "loss of n3 to n1"],
        ["delay to n1"],
        ["link n1 a"],
        None,
        None,
        None,
    ]


def test_the_checks_know_a_host_that_two_faults_keep_unlinked() -> None:
    recording = Recording()
    recording.add(1000, "port.down", target="n1", number=0)
    recording.add(2000, "port.down", target="n1", network="a", number=1)
    recording.add(
        3000, "fault.end", fault="link-down", target="n1", number=0, still_held=["link n1 a"]
    )
    recording.add(4000, "port.up", target="n1", network="a", number=1)
    recording.add(9000, "phase", name="end")
    down = ports_down(recording.history())["n1"]
    assert sorted(down) == [Interval(1000 * MS, 3000 * MS), Interval(2000 * MS, 4000 * MS)]


def test_faults_without_a_gap_cut_off_since_the_first_of_them() -> None:
    recording = Recording().fault(1000, 3000, "stall", "n1").fault(2000, 5000, "partition", "n1")
    recording.fault(6000, 8000, "stall", "n1").add(9000, "phase", name="end")
    spans = fault_spans(recording.history())

    def since(ms: int, boot: int | None = None) -> float | None:
        found = cut_off_at(spans, "n1", "n2", ms * MS, None if boot is None else boot * MS)
        return None if found is None else found / MS

    assert [since(ms) for ms in (500, 2500, 4000, 5500, 7000)] == [None, 1000, 1000, None, 6000]
    assert since(7000, boot=6500) is None, "the daemons of this boot were never stopped"
    assert since(4000, boot=1500) == 2000


# --- one direction


def loss(**keys: object) -> Recording:
    return Recording().fault(1000, 2000, "loss", "n1", share=1.0, **keys)


@pytest.mark.parametrize(
    ("keys", "unheard"),
    [
        ({"direction": "out"}, {("n1", "n2"), ("n1", "n3")}),
        ({}, {("n2", "n1"), ("n3", "n1")}),
        ({"from": "n2"}, {("n2", "n1")}),
        ({"direction": "both"}, {("n1", "n2"), ("n1", "n3"), ("n2", "n1"), ("n3", "n1")}),
        ({"direction": "out", "share": 0.99}, set()),
    ],
)
def test_who_cannot_be_heard_by_whom(keys: dict[str, Any], unheard: set[Sequence[str]]) -> None:
    recording = Recording().fault(1000, 2000, "loss", "n1", **{"share": 1.0, **keys})
    spans = fault_spans(recording.history())
    nodes = ("n1", "n2", "n3")
    pairs = [(one, other) for one in nodes for other in nodes if one != other]
    assert {pair for pair in pairs if cut_off_since(spans, *pair) is not None} == unheard


def test_what_a_node_sends_is_lost_by_all_others(world: FakeWorld) -> None:
    fault = world.fault("loss", share=1, direction="out")
    assert begin(fault) == {"share": 1.0, "direction": "out"}
    lost = [(one.source, one.target) for one in world.network.impaired]
    assert lost == [("n1", "n2"), ("n1", "n3")]
    fault.undo()
    assert world.network.impaired == []


@pytest.mark.parametrize(
    ("direction", "leaving"), [("in", [False]), ("out", [True]), ("both", [False, True])]
)
def test_a_delay_has_a_direction(direction: str, leaving: list[bool], world: FakeWorld) -> None:
    begin(world.fault("delay", direction=direction))
    assert [one.leaving for one in world.network.impaired] == leaving


# --- nothing to hit


def test_a_reserve_that_has_this_size_already_is_off_target(world: FakeWorld) -> None:
    fault = world.fault("resize-reserve", pages=256)
    with pytest.raises(NotPossible, match="the reserve of n1 had 256 pages already"):
        begin(fault)
    fault.undo()
    assert begin(world.fault("resize-reserve", pages=64))["was"] == 256


@pytest.mark.parametrize(("up_at", "off"), [(2500, True), (1500, False)])
def test_packets_of_a_node_that_is_down_all_the_time_are_no_target(up_at: int, off: bool) -> None:
    recording = Recording().add(500, "node.down", target="n1", reason="fence")
    recording.fault(1000, 2000, "loss", "n1", share=0.5).add(up_at, "node.up", target="n1")
    recording.add(9000, "phase", name="end")
    reasons = disturbed(recording.history(), load("control"))
    assert ("fault off target: loss of n1: down all the time" in reasons) == off


def test_all_daemons_are_those_that_the_node_has(world: FakeWorld) -> None:
    assert begin(world.fault("stall", daemons="all"))["daemons"] == (
        "heartbeat",
        "initiator",
        "traffic",
    )
    with pytest.raises(NotPossible, match="n1 has no daemon service"):
        begin(world.fault("stall", daemons=["service"]))


def faulty(fault: dict[str, object], **overrides: object) -> Scenario:
    return load("control").with_overrides({"faults": [fault], **overrides})


PAIR = {"block_io.pair": ["n1", "n3"]}


@pytest.mark.parametrize(
    ("fault", "overrides", "message"),
    [
        ({"kind": "stall", "daemons": ["service"]}, {}, "some of heartbeat, initiator, traffic"),
        ({"kind": "stall", "daemons": ["initiator"]}, PAIR, "some of heartbeat, service, traffic"),
        ({"kind": "stall", "target": "storage"}, PAIR, "a node of block_io.pair"),
        (
            {"kind": "stall", "target": "random", "daemons": ["service"]},
            {},
            "some of heartbeat, initiator, traffic",
        ),
        ({"kind": "loss", "target": "n2", "from": "n2"}, {}, "another node than target, got n2"),
        ({"kind": "loss", "from": "n2", "direction": "out"}, {}, "no sender where packets of"),
        ({"kind": "loss", "count": 3}, {}, "every: expected every and a count of 2 or more"),
        ({"kind": "loss", "every": "1s"}, {}, "every: expected every and a count of 2 or more"),
        ({"kind": "loss", "every": "1s", "count": 9}, {}, "(count - 1) x every + for within"),
    ],
)
def test_what_can_hit_nothing_is_refused(
    fault: dict[str, object], overrides: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput) as refused:
        faulty(fault, **overrides)
    assert message in str(refused.value)


def test_a_draw_is_made_among_those_that_can_be_hit() -> None:
    for fault, overrides, nodes in (
        ({"kind": "burst"}, PAIR, {"n2"}),
        ({"kind": "burst", "work-of": "n2"}, {}, {"n1", "n3"}),
        ({"kind": "stall", "daemons": ["service"]}, PAIR, {"n1", "n3"}),
        ({"kind": "loss", "from": "n1"}, {}, {"n2", "n3"}),
    ):
        scenario = faulty({**fault, "target": "random"}, **overrides)
        drawn = {draw_faults(scenario, seed)[0].targets[0] for seed in range(40)}
        assert drawn == nodes, fault


# --- again and again


def test_a_fault_comes_as_often_as_it_is_to() -> None:
    fault = {"kind": "stall", "target": "random", "after": "1s", "for": "500ms"}
    scenario = faulty({**fault, "every": "1s", "count": 4, "jitter": "100ms"})
    drawn = draw_faults(scenario, 3)
    assert [one.after // (1000 * MS) for one in drawn] == [1, 2, 3, 4]
    assert len({one.after % (1000 * MS) for one in drawn}) == 4
    assert len({one.targets for one in draw_faults(scenario, 1) + drawn}) > 1
    assert Scenario.model_validate(scenario.resolved()) == scenario
    assert {one.count for one in drawn} == {1}


# --- the fence device


def test_a_fence_fails_as_often_as_it_is_to_and_then_succeeds(world: FakeWorld) -> None:
    fault = world.fault("fence-failure", fails=2)
    assert begin(fault) == {"fails": 2, "takes_ns": 0}
    assert [world.fences("n1", "n2") for _ in range(3)] == [False, False, True]
    assert world.fences("n2", "n1"), "another node's fence works"
    failed = [one for one in world.recorded() if one["kind"] == "fence.failed"]
    assert [(one["target"], one["by"]) for one in failed] == [("n1", "n2")] * 2
    fault.undo()
    assert world.fences("n1", "n2")


def test_fences_that_fail_twice_over_fail_as_long_as_the_longer_says(world: FakeWorld) -> None:
    one = world.fault("fence-failure", fails=3, takes="1s")
    other = world.fault("fence-failure", fails=1, takes="2s")
    begin(one)
    begin(other)
    assert world.fences.wait_ns("n1", "n2") == 2000 * MS
    other.undo()
    assert world.fences.wait_ns("n1", "n2") == 1000 * MS
    assert [world.fences("n1", "n2") for _ in range(4)] == [False, False, False, True]
    one.undo()
    assert world.fences.wait_ns("n1", "n2") == 0


@pytest.mark.parametrize(("asked", "off"), [(1500, False), (2500, True), (None, True)])
def test_a_fence_that_nobody_asks_for_is_no_target(asked: int | None, off: bool) -> None:
    recording = Recording().fault(1000, 2000, "fence-failure", "n1", fails=1)
    if asked is not None:
        recording.add(asked, "fence.failed", target="n1", by="n2")
    recording.add(9000, "phase", name="end")
    reasons = disturbed(recording.history(), load("control"))
    assert ("fault off target: nobody asked for a fence of n1 in it" in reasons) == off


@pytest.mark.parametrize(
    ("delay", "delays"),
    [
        ("1s", {"n1": 1000, "n2": 1000}),
        ({"n1": "1s"}, {"n1": 1000, "n2": 0}),
        ("0s", {"n1": 0, "n2": 0}),
    ],
)
def test_the_delay_of_a_fence_is_that_of_all_or_of_one(
    delay: object, delays: dict[str, int]
) -> None:
    scenario = load("control").with_overrides({"fencing.delay": delay})
    assert {name: scenario.fencing.delay_ns(name) for name in delays} == {
        name: ms * MS for name, ms in delays.items()
    }
    assert Scenario.model_validate(scenario.resolved()) == scenario


@pytest.mark.parametrize(
    ("delay", "message"),
    [
        ({"n9": "1s"}, "fencing.delay: expected nodes from n1 to n3, got n9"),
        ({"n1": 5}, "fencing.delay: expected a duration such as"),
        ("soon", "fencing.delay: expected a duration such as"),
    ],
)
def test_a_wrong_delay_of_a_fence_is_refused(delay: object, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        load("control").with_overrides({"fencing.delay": delay})
    assert message in str(refused.value)
