"""Time that a part of the testbed lost: which run it makes invalid, in any phase, and why."""

from __future__ import annotations

from typing import Any

import pytest

from crunchbed.checks import lateness
from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.consistency import contradictions
from crunchbed.checks.judge import judge
from crunchbed.checks.lateness import bearable_ns, too_late
from crunchbed.checks.periodic import contradictions as periodic
from crunchbed.scenario.schema import Scenario
from tests.unit.judged_runs import ejecting_run, good_run, result_of, scenario
from tests.unit.recording import MS, Recording

PHASES = {"control": 300, "inject": 1500, "recovery": 5000}
"""A moment in each phase of a good run."""


def late(
    recording: Recording, begin: float, end: float, node: str, part: str, **more: Any
) -> Recording:
    """Add that a part stood still from ``begin`` to ``end`` in milliseconds."""
    since, length = round(begin * MS), round((end - begin) * MS)
    return recording.add(
        end, "part.late", node, part=part, since=since, late_ns=length, why="stopped", **more
    )


def reasons(recording: Recording, judged_by: Scenario | None = None) -> list[str]:
    return list(too_late(recording.history(), judged_by or scenario()))


@pytest.mark.parametrize(("until", "told"), [(950, False), (400, True)])
def test_a_node_that_stood_still_throughout_sent_nothing_for_that_reason(
    until: int, told: bool
) -> None:
    """Seen where a QEMU was stopped as the control phase began: no record is missing."""
    recording = late(Recording().complete(), 110, until, "n1", "machine")
    said = [one for one in periodic(recording.history(), scenario()) if "n1: no heartbeat" in one]
    assert bool(said) == told


# --- the examples


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    ("node", "part", "program", "seconds", "name"),
    [
        ("run", "run", None, 4.0, "the run itself"),
        ("n1", "heartbeat", None, 0.6, "the heartbeat of n1"),
        ("n2", "heartbeat", "corosync", 1.0, "the heartbeat of n2 (corosync)"),
        ("n1", "initiator", None, 2.5, "the initiator of n1"),
        ("storage", "target", None, 1.6, "the target of storage"),
        ("n3", "service", "nbdkit", 0.5, "the service of n3 (nbdkit)"),
        ("n3", "traffic", None, 0.5, "the traffic of n3"),
        ("n2", "agent", None, 0.5, "the agent of n2"),
        ("n2", "machine", None, 0.5, "the machine of n2"),
        ("n2", "attendant", None, 0.5, "the attendant of n2"),
        ("controller", "controller", None, 0.5, "the controller"),
    ],
)
def test_a_part_that_stood_still_makes_the_run_invalid_in_any_phase(
    phase: str, node: str, part: str, program: str | None, seconds: float, name: str
) -> None:
    at = PHASES[phase]
    recording = late(good_run(), at, at + seconds * 1000, node, part, program=program)
    result = result_of(recording)
    assert result.verdict == "invalid"
    assert (
        f"{name} stood still for {seconds:.3f} s in the phase {phase}: 0.400 s can be borne"
        in result.reasons
    )
    assert result.totals.testbed_late_seconds == seconds


def test_a_traffic_source_that_stood_to_the_end_is_told_at_the_end() -> None:
    recording = late(good_run(), 1500, 10_050, "storage", "traffic")
    assert reasons(recording) == [
        "the traffic of storage stood still for 8.500 s in the phase inject: 0.400 s can be borne"
    ]


@pytest.mark.parametrize(("kind", "name"), [("agent", "agent"), ("heartbeat", "heartbeat")])
def test_what_a_part_says_of_itself_counts_in_any_phase(kind: str, name: str) -> None:
    recording = good_run().add(3000, f"{kind}.late", "n2", late_ns=1000 * MS)
    assert reasons(recording) == [
        f"the {name} of n2 stood still for 1.000 s in the phase inject: 0.400 s can be borne"
    ]
    assert result_of(recording).verdict == "invalid"


def test_misses_of_no_known_cause_beside_a_second_of_lateness_are_no_failure() -> None:
    """Also where the deadline could bear a second."""
    patient = scenario("none").with_overrides({"heartbeat.misses": 15, "phases.control": "3s"})
    recording = good_run()
    for number in range(3):
        recording.miss(2000 + 100 * number, "n2", "n1", 20 + number)
    alone = judge(recording.fence(2400, "n1", view=2, observers=("n2",)).history(), patient)
    assert alone.totals.misses_by_cause["unknown"] == 3
    assert alone.totals.false_ejections == 1
    beside = judge(late(recording, 1300, 2300, "n3", "agent").history(), patient)
    assert reasons(recording, patient) == []
    assert beside.totals.misses_by_cause["testbed"] == 3
    assert (beside.verdict, beside.reasons[0]) == (
        "invalid",
        "3 heartbeats missed because the testbed itself was late or stood still",
    )


@pytest.mark.parametrize("policy", ["memalloc", "none"])
def test_a_failure_beside_a_part_that_stood_still_is_no_failure(policy: str) -> None:
    failed = result_of(ejecting_run(), "memalloc")
    assert failed.verdict == "fail"
    still = late(ejecting_run(), 1300, 2300, "n1", "heartbeat")
    assert result_of(still, policy).verdict == "invalid"


# --- what can be borne


def test_as_much_as_the_deadline_bears_is_no_reason() -> None:
    assert reasons(late(good_run(), 1500, 1900, "n1", "initiator")) == []
    assert reasons(late(good_run(), 1500, 1901, "n1", "initiator")) != []
    assert result_of(late(good_run(), 1500, 1900, "n1", "initiator")).verdict == "pass"


@pytest.mark.parametrize(
    ("settings", "part", "seconds"),
    [
        ({}, "agent", 0.4),
        ({"heartbeat.misses": 1}, "agent", 0.1),
        ({"detector": {"kind": "fixed", "deadtime": "2s"}}, "agent", 1.9),
        ({"block_io.nbd.timeout": "150ms"}, "agent", 0.4),
        ({"block_io.nbd.timeout": "150ms"}, "initiator", 0.15),
        ({"block_io.nbd.timeout": "150ms"}, "machine", 0.15),
        ({"block_io.nbd.timeout": "150ms"}, "target", 0.15),
        ({"block_io.nbd.timeout": "150ms"}, "run", 0.15),
        ({"block_io.nbd.timeout": "900ms"}, "target", 0.4),
        (
            {"block_io.transport": "iscsi", "block_io.iscsi.noop_out_timeout": "80ms"},
            "target",
            0.08,
        ),
        (
            {"block_io.transport": "iscsi", "block_io.iscsi.noop_out_interval": "0s"},
            "target",
            0.4,
        ),
    ],
)
def test_the_deadlines_of_the_scenario_say_how_much(
    settings: dict[str, object], part: str, seconds: float
) -> None:
    assert bearable_ns(scenario().with_overrides(settings), part) == round(seconds * 1e9)


def test_before_the_control_phase_and_after_the_measurement_nothing_counts() -> None:
    recording = late(good_run(), 0, 450, "n1", "initiator")
    late(recording, 9700, 20_000, "n1", "traffic")
    assert reasons(recording) == []
    assert reasons(late(recording, 0, 501, "n2", "initiator")) != []


def test_each_part_is_named_once_with_its_worst_and_many_are_counted() -> None:
    recording = late(late(good_run(), 1500, 2000, "n1", "agent"), 3000, 3900, "n1", "agent")
    recording.add(3905, "agent.late", "n1", late_ns=880 * MS)
    (reason,) = reasons(recording)
    assert reason.startswith("the agent of n1 stood still for 0.900 s in the phase inject")
    for number in range(2, 9):
        late(recording, 2000, 2500 + number, f"n{number}", "agent")
    *named, rest = reasons(recording)
    assert [one.split(" stood")[0] for one in named] == [
        f"the agent of n{n}" for n in (1, 8, 7, 6, 5)
    ]
    assert rest == "3 other parts stood still for too long"


# --- what the scenario itself has asked for


def stall(recording: Recording, *daemons: str, begin: float = 1500, end: float = 4000) -> Recording:
    return recording.fault(begin, end, "stall", "n1", daemons=list(daemons))


@pytest.mark.parametrize("daemon", ["heartbeat", "initiator", "traffic", "service"])
def test_a_stall_is_not_lateness_of_the_daemon_that_it_stops(daemon: str) -> None:
    recording = late(stall(good_run(), daemon), 1505, 3990, "n1", daemon)
    assert reasons(recording) == []
    assert lateness.longest_seconds(recording.history()) == 0
    for node, part in (("n2", daemon), ("n1", "agent")):
        assert len(reasons(late(stall(good_run(), daemon), 1505, 3990, node, part))) == 1


def test_a_hung_target_is_not_lateness_and_another_fault_of_it_explains_no_stop() -> None:
    hung = good_run().fault(1500, 4000, "stall", "storage", daemons=["target"])
    assert reasons(late(hung, 1505, 3990, "storage", "target")) == []
    assert len(reasons(late(hung, 1505, 3990, "storage", "traffic"))) == 1
    slow = good_run().fault(1500, 4000, "slow-disk", "storage", wdelay_ns=5 * MS)
    assert len(reasons(late(slow, 1505, 3990, "storage", "target"))) == 1


def test_what_a_daemon_lost_beyond_its_stalls_counts() -> None:
    recording = stall(stall(good_run(), "initiator"), "initiator", begin=3000, end=5000)
    assert reasons(late(recording, 1490, 5300, "n1", "initiator")) == []
    assert reasons(late(recording, 1490, 5600, "n1", "initiator")) == [
        "the initiator of n1 stood still for 0.600 s in the phase recovery: 0.400 s can be borne"
    ]
    assert len(reasons(late(recording, 1000, 5300, "n1", "initiator"))) == 1


def test_a_stall_does_not_excuse_the_daemon_of_the_nodes_next_boot() -> None:
    recording = stall(good_run(), "heartbeat").add(2500, "node.up", target="n1", incarnation=1)
    assert reasons(late(recording, 1505, 2000, "n1", "heartbeat")) == []
    assert len(reasons(late(recording, 2600, 3900, "n1", "heartbeat"))) == 1


def test_an_impossible_stall_is_still_no_excuse_for_more_than_its_moment() -> None:
    recording = good_run().fault(
        1500, 1501, "stall", "n1", daemons=["initiator"], impossible="n1 was down"
    )
    assert len(reasons(late(recording, 1505, 3990, "n1", "initiator"))) == 1


# --- what else lateness explains


def test_misses_of_a_stopped_daemon_are_the_testbeds_and_those_of_a_stalled_one_are_not() -> None:
    stopped = late(Recording().complete(), 1000, 1150, "n1", "heartbeat").miss(1120, "n2", "n1", 7)
    assert [cause for _, cause in cause_of_each(stopped.history(), 100 * MS)] == ["testbed"]
    stalled = Recording().complete().fault(1000, 1200, "stall", "n1", daemons=["heartbeat"])
    late(stalled, 1010, 1150, "n1", "heartbeat").miss(1120, "n2", "n1", 7)
    assert [cause for _, cause in cause_of_each(stalled.history(), 100 * MS)] == ["stalled_sender"]


@pytest.mark.parametrize("part", ["heartbeat", "machine", "attendant"])
def test_less_than_an_interval_explains_a_miss_of_what_sends_heartbeats_alone(part: str) -> None:
    short = late(Recording().complete(), 1000, 1090, "n3", "agent").miss(1120, "n2", "n1", 7)
    assert [cause for _, cause in cause_of_each(short.history(), 100 * MS)] == ["unknown"]
    daemon = late(Recording().complete(), 1000, 1090, "n2", part).miss(1120, "n2", "n1", 7)
    assert [cause for _, cause in cause_of_each(daemon.history(), 100 * MS)] == ["testbed"]


def test_a_phase_may_be_longer_by_what_the_run_lost() -> None:
    recording = Recording().phases(start=0, control=100, inject=4200, recovery=40_000)
    recording.phases(collect=41_000, end=42_000)
    before = [one for one in contradictions(recording.history(), scenario()) if "took" in one]
    assert len(before) == 1
    late(recording, 5000, 30_000, "run", "run")
    assert not [one for one in contradictions(recording.history(), scenario()) if "took" in one]


def test_an_agent_that_was_stopped_has_no_samples_of_that_time() -> None:
    def missing(recording: Recording) -> list[str]:
        found = periodic(recording.history(), scenario())
        return [one for one in found if "n1: no sample" in one]

    recording = Recording().complete().add(50, "pool.config", "n1", policy="none")
    for at in range(100, 10_000, 50):
        if not 2000 < at < 4000:
            recording.add(at, "pool.sample", "n1")
    assert len(missing(recording)) == 1
    assert missing(late(recording, 2010, 3990, "n1", "agent")) == []
