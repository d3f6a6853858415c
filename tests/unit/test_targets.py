"""The files by which a Prometheus follows a run's agents."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest

from crunchbed.backends.common.targets import Targets, files_of, labels_of
from crunchbed.experiments.matrix import DETECTORS, SETTINGS, detector_of, flags_of, shed_of
from crunchbed.scenario.loader import load
from crunchbed.scenario.shed import MODES

CONTROL = load("control").with_overrides({"policy": "none"})


def written(directory: Path) -> dict[str, object]:
    return {path.name: orjson.loads(path.read_bytes()) for path in directory.iterdir()}


def test_each_agent_has_a_file_with_its_port_and_the_run(tmp_path: Path) -> None:
    targets = Targets("abcd", CONTROL, tmp_path / "targets")
    targets.serve("n1", 4001)
    targets.serve("n2", 4002)
    found = written(tmp_path / "targets")
    assert set(found) == {"abcd-n1.json", "abcd-n2.json"}
    assert found["abcd-n1.json"] == [
        {
            "targets": ["127.0.0.1:4001"],
            "labels": {
                "run": "abcd",
                "scenario": "control",
                "policy": "none",
                "flags": "block-io+heartbeat",
                "detector": "fixed",
                "shed": "off",
                "instance": "n1",
                "__owner__": str(os.getpid()),
            },
        }
    ]


@pytest.mark.parametrize(
    ("label", "changes", "values"),
    [
        (
            "flags",
            [flags_of(setting) for setting in SETTINGS],
            ["none", "block-io", "heartbeat", "block-io+heartbeat"],
        ),
        ("flags", [{"memalloc": ["heartbeat", "block-io"]}], ["block-io+heartbeat"]),
        ("detector", [detector_of(CONTROL, one) for one in DETECTORS], list(DETECTORS)),
        ("shed", [shed_of(mode) for mode in MODES], list(MODES)),
        ("shed", [{}], ["off"]),
    ],
)
def test_what_compare_crosses_policies_with_is_in_the_labels(
    label: str, changes: list[dict[str, object]], values: list[str]
) -> None:
    base = CONTROL.with_overrides({"phases.control": "60s"})  # corosync is slow to suspect anybody
    found = [labels_of("abcd", base.with_overrides(change)) for change in changes]
    assert [labels[label] for labels in found] == values
    others = [{**labels, label: ""} for labels in found]
    assert all(one == others[0] for one in others)


def test_an_agent_that_takes_over_replaces_the_file(tmp_path: Path) -> None:
    targets = Targets("abcd", CONTROL, tmp_path)
    targets.serve("n1", 4001)
    targets.serve("n1", 4009)
    assert [each[0]["targets"] for each in written(tmp_path).values()] == [["127.0.0.1:4009"]]


def test_any_user_may_read_them(tmp_path: Path) -> None:
    Targets("abcd", CONTROL, tmp_path / "targets").serve("n1", 4001)
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "targets").iterdir()]
    assert ((tmp_path / "targets").stat().st_mode & 0o777, modes) == (0o755, [0o644])


def test_a_run_takes_its_own_files_away_and_no_others(tmp_path: Path) -> None:
    mine, other = (Targets(run, CONTROL, tmp_path) for run in ("abcd", "abce"))
    mine.serve("n1", 4001)
    other.serve("n1", 4002)
    mine.remove()
    mine.remove()
    assert [path.name for path in files_of("abce", tmp_path)] == ["abce-n1.json"]
    assert files_of("abcd", tmp_path) == []
