"""What Prometheus is told, checked and tried by promtool."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import orjson
import pytest

from crunchbed.prometheus import config
from reserve_agent.metrics import METRICS

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
    path.write_text(config.text(1234, path.parent))
    (path.parent / "abcd-n1.json").write_text("[]")  # promtool warns of a pattern without a file
    told = promtool("check", "config", path)
    assert "1 rule files found" in told
    assert "WARNING" not in told


def test_the_rules_are_accepted() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint-fatal", RULES / "rules.yml")


def test_the_rules_do_what_they_are_for() -> None:
    assert "SUCCESS" in promtool("test", "rules", RULES / "rules_test.yml")


def test_every_rule_is_tried() -> None:
    names = re.findall(r"(?m)^      - (?:record|alert): (\S+)", (RULES / "rules.yml").read_text())
    tried = (RULES / "rules_test.yml").read_text()
    assert len(names) == 8
    assert [name for name in names if name not in tried] == []


def test_rules_name_metrics_that_exist() -> None:
    named = set(re.findall(r"\bcrunchbed_\w+", (RULES / "rules.yml").read_text()))
    stems = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    assert stems <= set(METRICS) | {"crunchbed_"}


def test_only_the_runs_of_one_process_are_scraped() -> None:
    (job,) = orjson.loads(config.text(1234))["scrape_configs"]
    (keep,) = job["relabel_configs"]
    assert (keep["source_labels"], keep["regex"], keep["action"]) == (["__owner__"], "1234", "keep")
