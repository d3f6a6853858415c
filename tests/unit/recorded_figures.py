"""Totals of ten real runs of `writeback-crunch`, five seeds under each of two policies."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from crunchbed.checks.figures import Figures
from crunchbed.checks.result import Result
from tests.unit.judged_runs import scenario

_FILE = Path(__file__).parent / "data" / "writeback-crunch.jsonl"

Change = Callable[[Figures], Mapping[str, Any]]


def recorded(policy: str) -> list[Result]:
    """The runs of one policy."""
    lines = [orjson.loads(line) for line in _FILE.read_bytes().splitlines()]
    empty = Result.not_measured(scenario(policy), 0, "")
    return [
        empty.model_copy(
            update={
                "seed": line["seed"],
                "verdict": line["verdict"],
                "reasons": (),
                "switch": "linux-bridge",
                "totals": Figures.model_validate(line["totals"]),
                "versions": {"kernel": "6.18", "crunchbed": "0.1.0"},
            }
        )
        for line in lines
        if line["policy"] == policy
    ]


def dice(seed: int) -> random.Random:
    """Chance that repeats itself."""
    return random.Random(seed)  # noqa: S311 - a test's


def drawn(policy: str, count: int, rng: random.Random) -> list[Result]:
    """``count`` seeds, each with a recorded run drawn at random and latencies 5 % up or down."""
    runs = recorded(policy)
    return [_jittered(rng.choice(runs), seed, rng) for seed in range(1, count + 1)]


def changed(runs: list[Result], change: Change) -> list[Result]:
    """The same runs with other totals."""
    return [
        run.model_copy(update={"totals": run.totals.model_copy(update=change(run.totals))})
        for run in runs
    ]


def _jittered(run: Result, seed: int, rng: random.Random) -> Result:
    values = {
        name: value * rng.uniform(0.95, 1.05)
        for name in Figures.model_fields
        if name.endswith("_seconds") and (value := getattr(run.totals, name)) is not None
    }
    totals = run.totals.model_copy(update=values)
    return run.model_copy(update={"seed": seed, "totals": totals})
