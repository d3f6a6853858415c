"""What Prometheus is told, checked and tried by promtool."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import orjson
import pytest

from crunchbed.backends.common.targets import labels_of
from crunchbed.prometheus import server
from crunchbed.scenario.loader import load
from reserve_agent.metrics import METRICS
from tests.unit.dashboard_queries import asked

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing")
RULES = Path(__file__).parents[2] / "dashboards" / "prometheus"


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_accepted_with_the_rules(tmp_path: Path) -> None:
    path = tmp_path / 'a "directory": with\nodd name' / "prometheus.yml"
    path.parent.mkdir()
    path.write_text(server.scraping_config(1234, path.parent))
    (path.parent / "abcd-n1.json").write_text("[]")  # promtool warns of a pattern without a file
    told = promtool("check", "config", path)
    assert "1 rule files found" in told
    assert "WARNING" not in told


def test_the_rules_are_accepted() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint-fatal", RULES / "rules.yml")


def test_the_rules_do_what_they_are_for() -> None:
    assert "SUCCESS" in promtool("test", "rules", RULES / "rules_test.yml")


def test_a_comparison_has_a_mean_for_each_setting(tmp_path: Path) -> None:
    """Two runs of one policy: with both classes memalloc no heartbeat is missed, with one are 7."""
    (mean,) = (one for one in asked() if one.where.endswith("/Heartbeats missed, a run/A"))
    series, expected = [], []
    for run, flags, missed in (("aaaa", "block-io", 7), ("bbbb", "block-io+heartbeat", 0)):
        settings = f'policy="memalloc",flags="{flags}",detector="fixed",shed="off"'
        labels = f'{{run="{run}",scenario="s",{settings},node="n1"}}'
        for name, value in (("run_info", 1), ("heartbeats_sent_total", 50)):
            series.append({"series": f"crunchbed_{name}{labels}", "values": f"{value}x9"})
        missing = f"crunchbed_heartbeats_missed_total{labels}"
        series += [{"series": missing, "values": f"{missed}x9"}] if missed else []
        expected.append({"labels": f"{{{settings}}}", "value": missed})
    expression = mean.filled({"scenario": "s", "run": "aaaa|bbbb", "__range": "9s"})
    asked_at_end = {"expr": expression, "eval_time": "9s", "exp_samples": expected}
    case = {"interval": "1s", "input_series": series, "promql_expr_test": [asked_at_end]}
    path = tmp_path / "comparison.yml"
    path.write_bytes(orjson.dumps({"evaluation_interval": "1s", "tests": [case]}))
    assert "SUCCESS" in promtool("test", "rules", path)


def test_every_rule_is_tried() -> None:
    names = re.findall(r"(?m)^      - (?:record|alert): (\S+)", (RULES / "rules.yml").read_text())
    tried = (RULES / "rules_test.yml").read_text()
    assert len(names) == 8
    assert [name for name in names if name not in tried] == []


def test_what_is_recorded_keeps_the_labels_of_its_target() -> None:
    groups = re.findall(r"by \(([^)]*)\)", (RULES / "rules.yml").read_text())
    assert len(groups) == 2
    for by in groups:
        assert set(labels_of("abcd", load("control"))) | {"node"} <= set(by.split(", "))


def test_rules_name_metrics_that_exist() -> None:
    named = set(re.findall(r"\bcrunchbed_\w+", (RULES / "rules.yml").read_text()))
    stems = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    assert stems <= set(METRICS) | {"crunchbed_"}


def test_only_the_runs_of_one_process_are_scraped() -> None:
    (job,) = orjson.loads(server.scraping_config(1234))["scrape_configs"]
    (keep,) = job["relabel_configs"]
    assert (keep["source_labels"], keep["regex"], keep["action"]) == (["__owner__"], "1234", "keep")
