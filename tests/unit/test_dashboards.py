"""The committed dashboards: current, whole, and about one run at a time."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from ruamel.yaml import YAML

from crunchbed.backends.common.targets import labels_of
from crunchbed.scenario.loader import load
from dashboards.grafana import OUTPUT
from dashboards.grafana.queries import WHICH_RUN
from dashboards.grafana.written import texts
from reserve_agent.metrics import HOST_METRICS
from tests.unit.dashboard_queries import PARTS, SELECTOR, Asked, asked, dashboards, panels

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = set(
    re.findall(r"^\| `(crunchbed_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
)
EXPRESSIONS = list(asked())
COMPARED = [one for one in EXPRESSIONS if one.where.startswith("crunchbed-comparison/")]
BOARDS = dashboards()
PROVISIONING = OUTPUT.parent / "provisioning"


def test_the_committed_dashboards_are_what_the_generator_writes() -> None:
    committed = {path.name: path.read_text() for path in OUTPUT.glob("*.json")}
    assert committed == texts(), "run: .venv/bin/python -m dashboards.grafana"


def test_there_is_a_dashboard_for_each_question() -> None:
    names = ("comparison", "health", "node", "overview")
    assert sorted(BOARDS) == [f"crunchbed-{name}" for name in names]
    assert all(board["uid"] == uid for uid, board in BOARDS.items())


def family(name: str) -> str:
    """The documented name of the metric that a series belongs to."""
    for part in PARTS:
        if name not in DOCUMENTED and name.endswith(part):
            return name.removesuffix(part)
    return name


@pytest.mark.parametrize("one", EXPRESSIONS, ids=lambda one: one.where)
def test_expressions_ask_for_documented_metrics_of_a_named_run(one: Asked) -> None:
    found = SELECTOR.findall(one.expr)
    assert found
    for name, matchers in found:
        assert not name.startswith("crunchbed_") or family(name) in DOCUMENTED, name
        assert re.search(r'\brun=~?"\$run"', matchers), f"{name} of whatever run"


@pytest.mark.parametrize("one", EXPRESSIONS, ids=lambda one: one.where)
def test_what_prometheus_says_of_its_targets_is_told_apart_by_their_labels(one: Asked) -> None:
    names = {name for name, _ in SELECTOR.findall(one.expr)}
    if any(name.startswith("crunchbed_") for name in names):
        return
    by = {label for found in re.findall(r"by \(([^)]*)\)", one.expr) for label in found.split(", ")}
    assert by <= {*WHICH_RUN.split(", "), "instance"}, "a target has no such label"


def test_dashboards_know_a_targets_labels() -> None:
    assert WHICH_RUN.split(", ") == list(labels_of("abcd", load("control")))


@pytest.mark.parametrize("one", COMPARED, ids=lambda one: one.where)
def test_a_comparison_mixes_no_runs_of_different_settings(one: Asked) -> None:
    groups = [found.split(", ") for found in re.findall(r"by \(([^)]*)\)", one.expr)]
    assert groups
    for by in groups:
        assert {"policy", "flags", "detector", "shed"} <= set(by), by


def test_a_comparisons_legends_tell_settings_apart() -> None:
    for panel in panels(BOARDS["crunchbed-comparison"]):
        if panel["type"] != "table":
            (target,) = panel["targets"]
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert shown >= {"policy", "flags", "detector", "shed"}, panel["title"]


def test_every_documented_metric_of_a_run_is_shown_somewhere() -> None:
    """The metrics of ``audit --host`` are of no run: dashboards ask for those of a named one."""
    of_machines = {one.full_name for one in HOST_METRICS}
    shown = {family(name) for one in EXPRESSIONS for name, _ in SELECTOR.findall(one.expr)}
    assert DOCUMENTED - shown == of_machines


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_say_what_they_show_and_where_from(uid: str) -> None:
    shown = panels(BOARDS[uid])
    assert len({panel["id"] for panel in shown}) == len(shown)
    for panel in shown:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
        assert [target["refId"] for target in panel["targets"]] == sorted(
            {target["refId"] for target in panel["targets"]}
        )


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_lie_side_by_side(uid: str) -> None:
    places = [panel["gridPos"] for panel in BOARDS[uid]["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not [pair for pair in combinations(places, 2) if overlap(*pair)]


def known(value: Any, model: Any) -> Any:
    """``value`` without what an annotation has beyond the SDK's model of it."""
    if isinstance(value, dict) and isinstance(model, dict):
        return {key: known(part, model[key]) for key, part in value.items() if key in model}
    return value


@pytest.mark.parametrize("uid", BOARDS)
def test_grafanas_own_model_reads_a_dashboard_and_writes_the_same(uid: str) -> None:
    board = BOARDS[uid]
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    marks = board["annotations"].get("list", [])
    for mark, read in zip(marks, again["annotations"].get("list", []), strict=True):
        assert set(mark) - set(read) == {"step", "titleFormat", "tagKeys"}
        assert known(mark, read) == read
    assert {**board, "annotations": None} == {**again, "annotations": None}


def test_crunches_ejections_and_fail_overs_are_marked() -> None:
    for uid in ("crunchbed-overview", "crunchbed-node"):
        names = [mark["name"] for mark in BOARDS[uid]["annotations"]["list"]]
        assert names == ["Crunches", "False ejections", "Ejections", "Fail-overs"]


@pytest.mark.parametrize("uid", BOARDS)
def test_variables_come_before_those_who_need_them(uid: str) -> None:
    defined: set[str] = set()
    for variable in BOARDS[uid]["templating"]["list"]:
        needed = set(re.findall(r"\$(\w+)", str(variable.get("query", ""))))
        assert needed <= defined
        defined.add(variable["name"])
    for one in EXPRESSIONS:
        if one.where.startswith(f"{uid}/"):
            used = {name for name in re.findall(r"\$(\w+)", one.expr) if not name.startswith("__")}
            assert used <= defined, one.where


def test_provisioning_finds_the_dashboards_and_a_prometheus() -> None:
    read = YAML(typ="safe").load
    sources = read(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    assert [(each["type"], each["isDefault"]) for each in sources] == [("prometheus", True)]
    (provider,) = read(PROVISIONING / "dashboards" / "crunchbed.yml")["providers"]
    assert (provider["folder"], provider["disableDeletion"]) == ("crunchbed", True)
    compose = read(ROOT / "docker-compose.yml")["services"]["grafana"]["volumes"]
    assert f"./{OUTPUT.relative_to(ROOT)}:{provider['options']['path']}:ro" in compose
