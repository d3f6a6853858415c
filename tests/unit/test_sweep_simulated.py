"""Sweeps of simulated runs: many in one process, for any user."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import orjson
import pytest

import crunchbed.cli.sweep
from crunchbed.cli import app
from crunchbed.experiments.sweep import capacity
from crunchbed.experiments.sweep.run_process import make
from crunchbed.experiments.sweep.simulated import MAKER
from crunchbed.scenario.loader import load

SHORT = {"phases.control": "600ms", "phases.inject": "200ms"}


def test_one_process_makes_all_of_a_workers_runs(tmp_path: Path) -> None:
    scenario = load("control").with_overrides({"cluster.backend": "simulation", **SHORT})
    made = [make(scenario.resolved(), seed, str(tmp_path)) for seed in (1, 2)]
    process = MAKER._process
    assert process is not None
    assert process.poll() is None
    made.append(make(scenario.resolved(), 2, str(tmp_path)))
    assert MAKER._process is process
    results = []
    for one in made:
        assert (one.exit_code, one.words) == (0, "")
        with zipfile.ZipFile(io.BytesIO(one.archive)) as packed:
            results.append((orjson.loads(packed.read("result.json")), packed.read("history.jsonl")))
    assert [result["seed"] for result, _ in results] == [1, 2, 2]
    assert results[1][1] == results[2][1], "the same to the byte, whatever ran before"
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_is_told_and_the_next_run_is_made(tmp_path: Path) -> None:
    scenario = load("control").with_overrides({"cluster.backend": "simulation", **SHORT})
    refused = scenario.with_overrides({"capture": True}).resolved()
    told = make(refused, 1, str(tmp_path))
    assert (told.exit_code, told.archive) == (2, b"")
    assert "capture: expected false" in told.words
    assert make(scenario.resolved(), 1, str(tmp_path)).exit_code == 0


def test_no_root_and_no_trial_of_what_a_machine_carries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(*_: object) -> int:
        raise AssertionError("nothing disturbs a simulated run")

    monkeypatch.setattr(capacity, "measure", measured)
    monkeypatch.setattr(crunchbed.cli.sweep.os, "geteuid", lambda: 1000)
    short = [word for key, value in SHORT.items() for word in ("--set", f"{key}={value}")]
    words = ["sweep", "control", "--vary", "cluster.nodes=3,4", "--out", str(tmp_path / "out")]
    assert app.main([*words, *short, "--backend", "simulation", "--json"]) == 0
    points = orjson.loads(capsys.readouterr().out)["points"]
    assert [(one["point"]["cluster.nodes"], one["valid"]) for one in points] == [("3", 1), ("4", 1)]
    words[-1] = str(tmp_path / "other")
    assert app.main([*words, *short]) == 4
    assert "runs need root" in capsys.readouterr().err
