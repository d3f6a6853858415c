"""Sweeps of simulated runs: processes that make many runs each, without Dask, root or reports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from crunchbed.experiments.sweep.simulated import make, processes
from crunchbed.experiments.sweep.space import Trial
from crunchbed.scenario.loader import load

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from crunchbed.cli import app
code = app.main(sys.argv[1:])
print("dask" in sys.modules or "distributed" in sys.modules)
sys.exit(code)
"""
SHORT = {
    "cluster.backend": "simulation",
    "phases.control": "1s",
    "phases.inject": "1s",
    "traffic.rate": 10,
    "expect": [],
}


def test_a_sweep_of_simulated_runs(tmp_path: Path) -> None:
    changes = [f"--set={key}={value}" for key, value in SHORT.items() if key != "expect"]
    vary = ["--vary", "policy=none,memalloc", "--seeds", "1..2", "--workers", "2"]
    argv = ["sweep", "control", *changes, *vary, "--out", str(tmp_path / "sweep")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *argv], stdout=subprocess.PIPE, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines()[-1] == b"False", "Dask is not loaded"
    runs = sorted((tmp_path / "sweep" / "runs").iterdir())
    assert len(runs) == 4
    for run in runs:
        assert orjson.loads((run / "result.json").read_bytes())["verdict"] == "pass"
        assert (run / "history.jsonl").exists()
        assert not (run / "report.html").exists()


def test_what_a_run_refuses_is_told(tmp_path: Path) -> None:
    scenario = load("control").with_overrides({**SHORT, "cluster.topology": "redundant"})
    made = make(scenario.resolved(), 1, str(tmp_path))
    assert (made.archive, made.exit_code) == (b"", 2)
    assert (
        made.words == "backend simulation: cluster.topology: expected star or split, got redundant"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_error_ends_the_processes(tmp_path: Path) -> None:
    """The run would take minutes."""
    changes = {**SHORT, "phases.control": "3600s", "traffic.rate": 1000}
    long = load("control").with_overrides(changes).resolved()
    trial = Trial(name="long", point={}, seed=1, scenario=long)
    with pytest.raises(KeyboardInterrupt), processes(1, tmp_path) as workers:
        workers.submit(trial)
        raise KeyboardInterrupt
