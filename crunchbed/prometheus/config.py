"""The configuration of a Prometheus: its targets and its rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from crunchbed.backends.namespaces import targets

INTERVAL_SECONDS: Final = 1
JOB: Final = "crunchbed"
_RULES = "dashboards/prometheus/rules.yml"


def rules_file() -> Path | None:
    """Return the file of recording and alerting rules; None where it was not installed."""
    path = Path(__file__).resolve().parents[2] / _RULES
    return path if path.exists() else None


def text(owner: int, directory: Path = targets.DIRECTORY) -> str:
    """Return a configuration that scrapes only the runs which process ``owner`` executes.

    It is JSON, which is YAML too, so that no path can break it.
    """
    rules = rules_file()
    job = {
        "job_name": JOB,
        # run_info has the policy that is in force, its target the one of the start.
        "honor_labels": True,
        "file_sd_configs": [{"files": [str(directory / "*.json")], "refresh_interval": "2s"}],
        "relabel_configs": [
            {"source_labels": [targets.OWNER], "regex": str(owner), "action": "keep"}
        ],
    }
    return _written([job], [] if rules is None else [str(rules)])


def nobody() -> str:
    """Return a configuration without targets, for data that are there already."""
    return _written([], [])


def _written(jobs: list[dict[str, Any]], rules: list[str]) -> str:
    times = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    config = {
        "global": dict.fromkeys(times, f"{INTERVAL_SECONDS}s"),
        "rule_files": rules,
        "scrape_configs": jobs,
    }
    return orjson.dumps(config, option=orjson.OPT_INDENT_2).decode() + "\n"
