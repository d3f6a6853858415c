"""Searches for a threshold, and requests that make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crunchbed.experiments.sweep.conduct import Conductor
from crunchbed.experiments.sweep.folder import SweepFolder
from crunchbed.experiments.sweep.schedule import Scheduler
from crunchbed.experiments.sweep.space import Trial, trials_of
from crunchbed.report.sweep_summary import threshold_line
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput
from tests.unit.sweep_workers import (
    FakeWorkers,
    Notes,
    asked,
    made,
)


@pytest.mark.parametrize("axis", ["crunch.pagess=10..100", "crunch.pages=0..100"])
def test_a_search_over_what_is_refused_ends_before_its_first_run(axis: str) -> None:
    request = asked(vary=("policy=none,memalloc", axis), find="nodes_ejected")
    request.check()
    with pytest.raises(BadInput, match=r"crunch\.pages"):
        trials_of(request.base, request.known_points, request.seeds)


def pages(trial: Trial) -> int:
    return int(Scenario.model_validate(trial.scenario).crunch.pages)  # type: ignore[union-attr]


def test_a_threshold_is_found_and_confirmed_on_further_seeds(tmp_path: Path) -> None:
    request = asked(
        vary=("policy=none,memalloc", "crunch.pages=10..1000"),
        find="nodes_ejected",
        confirm=3,
    )
    request.check()
    place = SweepFolder.make(tmp_path / "s", request.model_dump(mode="json"))
    workers = FakeWorkers(lambda t, *_: made(t, ejected=int(pages(t) >= 333)))
    summary = Conductor(request, place, Scheduler(workers, 4, place.store, Notes())).run()
    assert len(workers.started) == len(set(workers.started))
    for found in summary.thresholds:
        assert found.below is not None
        assert found.above is not None
        assert int(found.below) < 333 <= int(found.above)
        assert found.confirmed == {found.below: (0, 3), found.above: (3, 3)}
        assert (found.clear_below, found.clear_above) == (found.below, found.above)
    assert [found.point for found in summary.thresholds] == [
        {"policy": "none"},
        {"policy": "memalloc"},
    ]


def test_where_a_threshold_is_chance_the_further_runs_go_on_until_all_agree(tmp_path: Path) -> None:
    request = asked(vary=("crunch.pages=10..1000",), find="nodes_ejected", confirm=4, seeds=(1,))
    place = SweepFolder.make(tmp_path / "s", request.model_dump(mode="json"))

    def ejects(trial: Trial) -> bool:
        return pages(trial) >= (333 if trial.seed % 2 else 500)

    workers = FakeWorkers(lambda t, *_: made(t, ejected=int(ejects(t))))
    scheduler = Scheduler(workers, 4, place.store, Notes())
    (found,) = Conductor(request, place, scheduler).run().thresholds
    assert found.below is not None
    assert found.above is not None
    assert found.clear_above is not None
    assert int(found.below) < 333 <= int(found.above) < 500 <= int(found.clear_above)
    assert found.clear_below == found.below
    assert found.confirmed[found.above] == (2, 4)
    assert found.confirmed[found.clear_above] == (4, 4)
    said = threshold_line(found)
    assert f"0 in all of them up to {found.below}" in said
    assert f"above 0 in all of them from {found.clear_above}" in said
    assert f"2 of 4 at {found.above}" in said


def test_a_search_ends_where_no_value_between_is_taken(tmp_path: Path) -> None:
    request = asked(vary=("block_io.request=4KiB..64KiB",), find="nodes_ejected", tolerance=0.001)
    place = SweepFolder.make(tmp_path / "s", request.model_dump(mode="json"))
    workers = FakeWorkers(
        lambda t, *_: made(t, ejected=int(Scenario(**t.scenario).block_io.request > 20 << 10))
    )
    (found,) = (
        Conductor(request, place, Scheduler(workers, 4, place.store, Notes())).run().thresholds
    )
    assert (found.below, found.above) == ("20KiB", "24KiB")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"find": "nodes_ejectd", "vary": ("crunch.pages=1..9",)}, "did you mean nodes_ejected"),
        ({"find": "nodes_ejected", "vary": ("policy=none",)}, "exactly one --vary KEY=A..B"),
        ({"figures": ("io_p98",)}, "unknown figure 'io_p98'"),
    ],
)
def test_requests_that_make_no_sense(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        asked(**fields).check()
