"""How long there was no majority: looked at where something changes, however long the run was."""

from __future__ import annotations

import random
import time

import pytest

from crunchbed.checks import quorum
from crunchbed.checks.lives import downtimes
from crunchbed.history.history import History, Interval
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from tests.unit.judged_runs import scenario
from tests.unit.recording import Recording


def every_look(history: History, chosen: Scenario) -> float:
    """The definition: one look an interval."""
    inject, collect = history.phase("inject"), history.phase("collect")
    assert inject is not None and collect is not None
    step, names = chosen.heartbeat.interval, chosen.node_names
    missed = quorum._misses_by_pair(history)
    lost = spell = 0
    for t in range(inject.start, collect.start, step):
        up = [one for one in names if not any(t in down for down in downtimes(history, one))]
        heard = quorum._heard(up, missed, Interval(t - round(1.5 * step), t))
        if len(heard) > len(names) // 2:
            lost += spell if spell >= chosen.deadline_ns else 0
            spell = 0
        else:
            spell += step
    return seconds(lost + (spell if spell >= chosen.deadline_ns else 0))


def drawn(seed: int) -> Recording:
    chance = random.Random(seed)  # noqa: S311 - a test's
    recording, together = Recording().complete(), chance.uniform(900, 9000)
    for observer in ("n1", "n2", "n3"):
        for peer in {"n1", "n2", "n3"} - {observer}:
            at = together if seed % 2 else chance.uniform(900, 9000)
            for _ in range(chance.randrange(25)):
                recording.miss(at, observer, peer, 1)
                at += chance.choice((100.0, 100.0, 100.0, chance.uniform(0, 400)))
    if chance.random() < 0.5:
        at = chance.uniform(1000, 8000)
        recording.add(at, "node.down", target="n1").add(at + 700, "node.up", target="n1")
    return recording


@pytest.mark.parametrize("seed", range(60))
def test_looks_where_something_changes_see_what_every_look_sees(seed: int) -> None:
    history = drawn(seed).history()
    assert quorum.lost_seconds(history, scenario()) == every_look(history, scenario())


def test_some_of_these_runs_lost_their_majority() -> None:
    assert any(quorum.lost_seconds(drawn(seed).history(), scenario()) for seed in range(60))


def test_one_changed_number_does_not_keep_the_judge_busy() -> None:
    recording = drawn(3).add(10**12, "phase", name="end")
    recording.events = [one for one in recording.events if getattr(one, "name", "") != "collect"]
    recording.add(10**12 - 1, "phase", name="collect")
    began = time.process_time()
    assert quorum.lost_seconds(recording.history(), scenario()) is not None
    assert time.process_time() - began < 1.0
