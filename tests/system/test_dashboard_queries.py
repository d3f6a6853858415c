"""Every expression of the dashboards, asked of a real Prometheus that has watched real runs.

Two runs go into one Prometheus, one after the other, because no single run has everything: a crunch
with a false ejection, and a power failure with a right one and a fail-over.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crunchbed.history import History
from tests.system.command import SHORT, Command
from tests.system.prometheus import Prometheus, Series
from tests.unit.dashboard_queries import Asked, asked

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
]
LINUX_BRIDGE = ("--set", "cluster.switch=linux-bridge")
CONTROL = ("--set", "phases.control=7s")
"""Prometheus looks at new targets every 5 s."""
CRUNCH = (
    *("long-crunch", "--policy", "none", *SHORT, *LINUX_BRIDGE, *CONTROL),
    *("--set", "crunch.depth=1", "--set", "crunch.jitter=0s", "--set", "crunch.every=2500ms"),
    *("--set", "crunch.length=2s", "--set", "phases.inject=2500ms"),
)
FAIL_OVER = (
    *("target-failover", *LINUX_BRIDGE, *CONTROL),
    *("--set", "cluster.nodes=4", "--set", "block_io.pair=[n4, n3]"),
)
EXPRESSIONS = list(asked())
OVER_TIME = [one for one in EXPRESSIONS if not one.instant and "$__range" not in one.expr]
"""Those that say something for each moment, not one thing about the whole time range."""
EMPTY_BY_DESIGN: dict[str, str] = {}
"""Expressions without an answer in these two runs, and why."""
AFTER = 8.0
"""Seconds for which a series may still be seen: an interval and what Grafana looks back."""


@dataclass
class Recorded:
    """A run that Prometheus has watched.

    Attributes:
        out: run directory.
        id: run id.
        scenario: its name.
        started: before its agents were scraped, in seconds since 1970.
        ended: after it.
    """

    out: Path
    id: str
    scenario: str
    started: float
    ended: float


def node_ports(out: Path) -> list[int]:
    """The agents' ports, from the histories that are being written."""
    found = []
    for path in sorted((out / "history").glob("n*.jsonl")):
        events = map(json.loads, path.read_bytes().split(b"\n")[:-1])
        found.append(next(e["metrics_port"] for e in events if e["kind"] == "pool.config"))
    return found


def record(prometheus: Prometheus, out: Path, arguments: tuple[str, ...]) -> Recorded:
    """Run, and have it watched from its control phase on."""
    started = time.time()
    command = Command("run", *arguments, "--out", out)
    try:
        command.wait_for("control", 60)
        run_id = command.run_id
        assert run_id is not None
        scenario = json.loads((out / "scenario.json").read_bytes())
        labels = {"run": run_id, "scenario": scenario["name"], "policy": scenario["policy"]}
        prometheus.follow(run_id, node_ports(out), labels)
        command.end()
        prometheus.forget(run_id)
    finally:
        command.kill()
    assert (out / "history.jsonl").exists(), command.errors
    return Recorded(out, run_id, scenario["name"], started, time.time())


@dataclass
class Watched:
    """Two runs in one Prometheus."""

    prometheus: Prometheus
    crunch: Recorded
    fail_over: Recorded


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    directory = tmp_path_factory.mktemp("dashboards")
    prometheus = Prometheus(directory / "prometheus")
    try:
        crunch = record(prometheus, directory / "crunch", CRUNCH)
        time.sleep(AFTER)  # what is over is not seen as the next one's
        yield Watched(prometheus, crunch, record(prometheus, directory / "fail-over", FAIL_OVER))
    finally:
        prometheus.close()


def answers(watched: Watched, one: Asked, run: Recorded, start: float, end: float) -> list[Series]:
    """What Prometheus says to an expression of a dashboard that shows ``run``."""
    variables = {
        "run": run.id,
        "scenario": run.scenario,
        "node": "n4" if run is watched.fail_over else "n1",
        "__interval": "1s",
        "__rate_interval": "4s",
        "__range": f"{round(end - start)}s",
    }
    expr = one.filled(variables)
    if one.instant:
        return watched.prometheus.instant(expr, end)
    return watched.prometheus.range(expr, start, end)


def samples(series: Series) -> dict[float, float]:
    """Numbers by time; a quantile of nothing is none."""
    found = series.get("values") or [series["value"]]
    return {at: float(value) for at, value in found if value != "NaN"}


def happenings(watched: Watched, one: Asked, run: Recorded) -> dict[str, list[float]]:
    """When Grafana would draw a mark, in seconds since 1970, by node; asked about all the time."""
    found = {}
    span = (watched.crunch.started, watched.fail_over.ended)
    for series in answers(watched, one, run, *span):
        times = [at for at, value in samples(series).items() if value > 0]
        if times:
            found[series["metric"]["node"]] = times
    return found


@pytest.mark.parametrize("one", EXPRESSIONS, ids=lambda one: one.where)
def test_an_expression_has_an_answer(one: Asked, watched: Watched) -> None:
    found = [
        series
        for run in (watched.crunch, watched.fail_over)
        for series in answers(watched, one, run, run.started, run.ended)
        if samples(series)
    ]
    if one.where in EMPTY_BY_DESIGN:
        assert not found, "has an answer, but is listed as empty by design"
    else:
        assert found, "no answer"


@pytest.mark.parametrize("one", OVER_TIME, ids=lambda one: one.where)
def test_nothing_of_one_run_is_seen_after_it(one: Asked, watched: Watched) -> None:
    """The dashboard shows the first run; the second one is in the same Prometheus."""
    run = watched.crunch
    span = (run.started, watched.fail_over.ended)
    late = [
        (series["metric"], at)
        for series in answers(watched, one, run, *span)
        for at, value in samples(series).items()
        if at > run.ended + AFTER and value
    ]
    assert late == []


def test_nothing_of_one_run_is_seen_before_it(watched: Watched) -> None:
    run = watched.fail_over
    for one in OVER_TIME:
        for series in answers(watched, one, run, watched.crunch.started, run.started - 1):
            assert not any(samples(series).values()), (one.where, series["metric"])


def test_marks_are_where_the_history_has_its_events(watched: Watched) -> None:
    marks = {one.where.split("/")[1]: one for one in EXPRESSIONS if one.mark}
    for run in (watched.crunch, watched.fail_over):
        history = History.read(run.out / "history.jsonl")
        ejected = history.of("node.ejected")
        expected = {
            "Crunches": {event.node for event in history.of("pressure.end")},
            "False ejections": {event.node for event in ejected if event.data["false"]},
            "Ejections": {event.node for event in ejected if not event.data["false"]},
            "Fail-overs": {
                event.node for event in history.of("service.start") if event.data.get("taken_from")
            },
        }
        found = {name: set(happenings(watched, one, run)) for name, one in marks.items()}
        assert found == expected
        for one in marks.values():
            for times in happenings(watched, one, run).values():
                assert run.started <= min(times) <= max(times) <= run.ended
