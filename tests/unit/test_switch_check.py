"""What is read of switches and their controller out of a history."""

from __future__ import annotations

from typing import Any, Self

import pytest

from crunchbed.checks import switch
from crunchbed.checks.judge import judge
from tests.unit.judged_runs import good_run, scenario
from tests.unit.recording import MS, Recording

OPENFLOW = {"cluster.controller": "openflow", "shed.mode": "drop"}


class Switched(Recording):
    """A history with a controller in it."""

    def shed(self, on: bool, pressure_ms: float, force_ms: float, node: str = "n1") -> Self:
        return self.add(
            force_ms,
            "shed.applied",
            "controller",
            target=node,
            on=on,
            episode=1,
            pressure_at=round(pressure_ms * MS),
            received_at=round(pressure_ms * MS),
            in_force_at=round(force_ms * MS),
        )

    def counted(self, ms: float, table: list[list[Any]], dropped: list[list[Any]]) -> Self:
        return self.add(ms, "switch.packets", "controller", table=table, dropped=dropped)


def run() -> Switched:
    recording = Switched()
    recording.events = good_run().events
    return recording.add(10, "controller.ready", "controller")


def test_the_reaction_is_from_the_pressure_to_the_rules_in_force() -> None:
    # good_run: pressure on n1 from 1280 to 2280 ms
    history = run().shed(True, 1280, 1284).shed(False, 2280, 2285).history()
    assert switch.shedding(history, "n1") == switch.Shedding((4 * MS,), 1, 0)
    assert switch.shedding(history, "n2") == switch.Shedding((), 0, 0)


def test_an_episode_that_is_over_before_is_too_late() -> None:
    recording = run().pressure(3000, 3001, "n1").pressure(3100, 3100.2, "n1")
    recording.shed(True, 1280, 1284).shed(False, 2280, 2285)
    recording.shed(True, 3000, 3004).shed(False, 3001, 3006)
    found = switch.shedding(recording.history(), "n1")
    assert found == switch.Shedding((4 * MS, 4 * MS), 1, 2)


def test_an_episode_under_the_rules_of_the_one_before_needs_no_reaction() -> None:
    recording = run().pressure(2283, 2284, "n1")
    recording.shed(True, 1280, 1284).shed(True, 2283, 2283.5).shed(False, 2284, 2290)
    assert switch.shedding(recording.history(), "n1") == switch.Shedding((4 * MS,), 2, 0)


def test_rules_that_stay_in_force_do_so_to_the_end() -> None:
    recording = run().pressure(5000, 5001, "n1").shed(True, 1280, 1284)
    assert switch.shedding(recording.history(), "n1").in_time == 2


def test_packets_are_counted_from_the_control_phase_on() -> None:
    recording = run()
    recording.counted(50, [["n1", "control", 9, 900], ["n1", "other", 1, 60]], [])
    table = [["n1", "control", 19, 1900], ["n1", "other", 201, 12060], ["n2", "other", 5, 300]]
    recording.counted(9990, table, [["n1", "other", 40, 2400]])
    history = recording.history()
    assert switch.packets(history, "n1") == {"control": 10, "other": 200}
    assert switch.drops(history, "n1") == 40
    assert switch.drops(history, "n2") == 0


def test_a_count_before_the_control_phase_alone_says_nothing() -> None:
    history = run().counted(50, [["n1", "control", 9, 900]], []).history()
    assert switch.packets(history, "n1") == {}


def test_a_run_with_a_controller_has_figures_of_it() -> None:
    recording = run().shed(True, 1280, 1284).shed(False, 2280, 2285)
    recording.counted(9990, [["n1", "other", 7, 1], ["n2", "other", 5, 1]], [["n1", "other", 4, 1]])
    result = judge(recording.history(), scenario().with_overrides(OPENFLOW))
    assert result.verdict == "pass", result.reasons
    totals = result.totals
    assert (totals.switch_drops, totals.shed_episodes, totals.shed_too_late) == (4, 1, 0)
    assert totals.reaction_p50_seconds == totals.reaction_p99_seconds == pytest.approx(0.004)
    assert totals.switch_packets == {"other": 12}
    assert result.nodes["n2"].switch_packets == {"other": 5}
    assert result.nodes["n2"].reaction_p50_seconds is None


def test_a_run_that_sheds_nothing_has_only_counts() -> None:
    recording = run().counted(9990, [["n1", "other", 7, 1]], [])
    chosen = scenario().with_overrides({"cluster.controller": "openflow"})
    totals = judge(recording.history(), chosen).totals
    assert (totals.switch_drops, totals.shed_episodes, totals.shed_too_late) == (0, None, None)


def test_a_run_without_a_controller_has_none() -> None:
    totals = judge(good_run().history(), scenario()).totals
    assert (totals.switch_drops, totals.shed_episodes, totals.switch_packets) == (None, None, {})
