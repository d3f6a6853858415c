"""Run directories as a run leaves them, made from histories written by hand."""

from __future__ import annotations

from pathlib import Path

import orjson

from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.scenario.schema import Scenario
from tests.unit import judged_runs
from tests.unit.recording import Recording


def write_run(directory: Path, recording: Recording, scenario: Scenario) -> Result:
    """Write scenario, history and result into a new directory; returns the result."""
    directory.mkdir(parents=True)
    (directory / "scenario.json").write_bytes(orjson.dumps(scenario.resolved()))
    history = recording.history()
    lines = [orjson.dumps(event.record()) for event in history.events]
    (directory / "history.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    result = judge(history, scenario)
    result.write(directory / "result.json")
    return result


def write_comparison(directory: Path, seeds: range = range(1, 3)) -> list[Result]:
    """Write runs under none, which eject, and under memalloc, which do not."""
    results = []
    for seed in seeds:
        for policy, make in (("none", ejecting), ("memalloc", judged_runs.good_run)):
            place = directory / f"{policy}-{seed}"
            results.append(write_run(place, make(seed), judged_runs.scenario(policy)))
    return results


def ejecting(seed: int = 1) -> Recording:
    """A run that ejects a live node, with a stall, a life after it, and a level of free pages."""
    run = judged_runs.ejecting_run(seed)
    for ms in range(100, 1800, 20):
        run.add(ms, "pool.sample", "n1", free=8000 if ms < 1280 else 200, dirty=9, low_water=190)
        run.sent(ms, "n1", ms // 20)
    run.miss(1450 + seed, "n1", "n2", 15)
    run.ack(1700, "n1", 1300)
    return run.rejoin(3800, "n1", view=3, observers=("n2", "n3"))
