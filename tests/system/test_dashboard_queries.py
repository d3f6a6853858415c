"""Every expression of dashboards and rules, asked of a real Prometheus that recorded real runs.

The scenario has something for every panel. Two policies, one after the other, are in the same
Prometheus: so the runs can be held against each other, and one could leak into the other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from crunchbed.history.history import History
from dashboards.grafana.queries import SETTINGS
from reserve_agent.contract.events.membership import NodeEjected
from reserve_agent.contract.events.pressure import PressureEnded
from reserve_agent.contract.events.writes import ServiceStarted
from tests.system.command import Command
from tests.system.prometheus import Prometheus, Series
from tests.unit.dashboard_queries import Asked, asked

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
]
ROOT = Path(__file__).resolve().parents[2]
SCENARIO = Path(__file__).with_name("everything.yaml")
RULES = YAML(typ="safe").load(ROOT / "dashboards" / "prometheus" / "rules.yml")["groups"]
EXPRESSIONS = list(asked())
OVER_TIME = [one for one in EXPRESSIONS if not one.instant and "$__range" not in one.expr]
"""Those that say something for each moment, not one thing about the whole time range."""
RULE_EXPRESSIONS = [
    Asked(f"rules/{rule.get('alert') or rule['record']}", rule["expr"])
    for group in RULES
    for rule in group["rules"]
]
NO_CONTROLLER = "no controller has the switches of this run"
EMPTY_BY_DESIGN = {
    "crunchbed-overview/Load shed/A": NO_CONTROLLER,
    "crunchbed-overview/From pressure to shedding/A": NO_CONTROLLER,
    "crunchbed-overview/Packets at the switches/A": NO_CONTROLLER,
    "crunchbed-overview/Dropped at the switches, in all/A": NO_CONTROLLER,
    "crunchbed-health/Refused by the controller, in all/A": NO_CONTROLLER,
    "crunchbed-health/Refused by the controller, in all/B": NO_CONTROLLER,
    "rules/CrunchbedReserveLow": "only where a scrape falls into the moment in which it is",
    "rules/CrunchbedWritesLost": "no acknowledged write is lost here, and none ever should be",
    "rules/CrunchbedTestbedDisturbed": "only where this machine is too busy for a run",
}
"""Expressions that need no answer here, and why."""
AFTER = 6.0
"""Seconds after its end for which a run may still be seen: a rate looks back 4 s."""


RUNS_SECONDS = 300.0
"""A run that the machine disturbed is made again, up to twice."""


@dataclass(frozen=True)
class Recorded:
    """One of the runs.

    Attributes:
        id: run id.
        history: everything that happened.
        started: first event, in seconds since 1970.
        ended: last event.
    """

    id: str
    history: History
    started: float
    ended: float

    @classmethod
    def read(cls, directory: Path) -> Recorded:
        info = json.loads((directory / "run.json").read_bytes())
        history = History.read(directory / "history.jsonl")
        offset = info["clock"]["unix_ns"] - info["clock"]["monotonic_ns"]
        start, end = ((moment + offset) / 1e9 for moment in history.span)
        return cls(info["run"], history, start, end)


@dataclass(frozen=True)
class Watched:
    """Two runs in one Prometheus."""

    prometheus: Prometheus
    first: Recorded
    second: Recorded


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    out = tmp_path_factory.mktemp("dashboards") / "out"
    policies = ("--policies", "none,memalloc")
    command = Command("compare", SCENARIO, *policies, "--prometheus", "--out", out)
    try:
        command.end(RUNS_SECONDS)
    finally:
        command.kill()
    # Verdicts may be invalid on a busy machine; what was recorded serves all the same.
    assert (out / "comparison.json").exists(), command.errors
    prometheus = Prometheus(out / "prometheus" / "data")
    try:
        yield Watched(prometheus, Recorded.read(out / "none-1"), Recorded.read(out / "memalloc-1"))
    finally:
        prometheus.close()


def answers(
    watched: Watched, one: Asked, runs: str, node: str, start: float, end: float
) -> list[Series]:
    """What Prometheus says to an expression of a dashboard that shows these runs and this node."""
    variables = {"run": runs, "scenario": "everything", "node": node}
    variables |= {"__interval": "1s", "__rate_interval": "4s"}
    expr = one.filled({**variables, "__range": f"{round(end - start)}s"})
    if one.instant:
        return watched.prometheus.instant(expr, end)
    return watched.prometheus.range(expr, start, end)


def samples(series: Series) -> dict[float, float]:
    """Numbers by time; a quantile of nothing is none."""
    found = series.get("values") or [series["value"]]
    return {at: float(value) for at, value in found if value != "NaN"}


@pytest.mark.parametrize("one", [*EXPRESSIONS, *RULE_EXPRESSIONS], ids=lambda one: one.where)
def test_an_expression_has_an_answer(one: Asked, watched: Watched) -> None:
    shown = watched.first
    found = [
        series
        for node in ("n1", "n4", "n5")  # crunched, crashed, and who takes over
        for series in answers(watched, one, shown.id, node, shown.started, shown.ended)
        if samples(series)
    ]
    assert found or one.where in EMPTY_BY_DESIGN


def test_what_is_empty_by_design_exists() -> None:
    assert set(EMPTY_BY_DESIGN) <= {one.where for one in (*EXPRESSIONS, *RULE_EXPRESSIONS)}


def test_the_rules_were_evaluated_while_the_runs_went(watched: Watched) -> None:
    span = (watched.first.started, watched.second.ended)
    for expr in ("crunchbed:reserve_free:ratio", 'ALERTS{alertname="CrunchbedFalseEjection"}'):
        assert watched.prometheus.range(expr, *span), expr


@pytest.mark.parametrize("one", OVER_TIME, ids=lambda one: one.where)
def test_a_run_is_seen_while_it_goes_and_no_other_with_it(one: Asked, watched: Watched) -> None:
    everything = (watched.first.started - 5, watched.second.ended + 5)
    for shown in (watched.first, watched.second):
        for series in answers(watched, one, shown.id, "n4", *everything):
            seen = [at for at, value in samples(series).items() if value]
            stray = [at for at in seen if not shown.started <= at <= shown.ended + AFTER]
            assert not stray, series["metric"]


def settings_shown(watched: Watched, one: Asked) -> set[tuple[str, ...]]:
    runs = f"{watched.first.id}|{watched.second.id}"
    span = (watched.first.started, watched.second.ended)
    found = answers(watched, one, runs, "n1", *span)
    names = SETTINGS.split(", ")
    return {tuple(series["metric"].get(name, "") for name in names) for series in found}


def test_the_comparison_shows_both_policies(watched: Watched) -> None:
    for one in EXPRESSIONS:
        if one.where.startswith("crunchbed-comparison/"):
            shown = settings_shown(watched, one)
            others = ("block-io+heartbeat", "fixed", "off")
            assert shown == {("none", *others), ("memalloc", *others)}, one.where


def marked(watched: Watched, one: Asked, shown: Recorded) -> set[str]:
    """Nodes with a mark; asked about the time of both runs."""
    span = (watched.first.started, watched.second.ended)
    found = answers(watched, one, shown.id, "n1", *span)
    return {
        series["metric"]["node"]
        for series in found
        if any(value > 0 for value in samples(series).values())
    }


def test_marks_are_those_of_the_run_that_is_shown(watched: Watched) -> None:
    for shown in (watched.first, watched.second):
        of = shown.history.of
        ejected = of(NodeEjected)
        expected = {
            "Crunches": {event.node for event in of(PressureEnded)},
            "False ejections": {event.node for event in ejected if event.false},
            "Ejections": {event.node for event in ejected if not event.false},
            "Fail-overs": {event.node for event in of(ServiceStarted) if event.taken_from},
        }
        for one in (one for one in EXPRESSIONS if one.mark):
            assert marked(watched, one, shown) == expected[one.where.split("/")[1]], one.where
