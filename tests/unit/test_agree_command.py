"""What `crunchbed agree` runs, what it takes as it is, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.cli import agree, app
from crunchbed.experiments.agreement.asked import Asked, Column
from crunchbed.experiments.agreement.cell import Observed
from crunchbed.experiments.agreement.runs import HISTORY, RESULT, Runs
from tests.unit.test_agreement import seen


class Made:
    """Stands for the runs: what each column would come to, and which were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **outcomes: Observed) -> None:
        self.outcomes = outcomes
        self.runs: list[tuple[str, str, int]] = []
        monkeypatch.setattr(Runs, "_make", lambda _runs, *one: self.make(*one))
        monkeypatch.setattr(Runs, "_observe", lambda _runs, *one: self.observe(*one))

    def make(self, asked: Asked, column: Column) -> None:
        self.runs.append((column.name, "/".join(asked.words[:4]), asked.seed))

    def observe(self, _asked: Asked, column: Column) -> Observed:
        return self.outcomes.get(column.backend, seen()).model_copy(update={"backend": column.name})


def called(tmp_path: Path, *words: str) -> int:
    return app.main(["agree", "-q", "--out", str(tmp_path / "out"), *words])


REAL = ("--backends", "machines,namespaces")


def test_each_cell_is_run_on_each_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made(monkeypatch)
    words = ("control", "--policies", "none,memalloc", "--memalloc", "block-io,both")
    assert called(tmp_path, *REAL, *words, "--seeds", "1..2") == 0
    assert len(made.runs) == len(set(made.runs)) == 2 * 2 * 2 * 2
    assert ("machines", "control/memalloc/block-io/e1000", 2) in made.runs
    out = capsys.readouterr().out
    assert "8 cells: 8 agree" in out
    assert "namespaces beside machines: 8 of 8 (100%) agree" in out


def test_a_disagreement_is_exit_code_1_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Made(monkeypatch, namespaces=seen(ejected=()))
    assert called(tmp_path, *REAL, "control", "--policies", "none", "--json") == 1
    told = orjson.loads(capsys.readouterr().out)
    (one,) = told["cells"]
    assert one["state"] == "disagree"
    assert one["differences"] == ["ejected: machines n1, namespaces nobody"]
    assert told["pairs"][0]["differing"]["ejected"] == 1
    assert orjson.loads((tmp_path / "out" / "agreement.json").read_bytes()) == told


def test_a_backend_that_refuses_is_named_and_leaves_the_cell_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made(monkeypatch)
    assert called(tmp_path, *REAL, "control", "--policies", "softnet") == 3
    assert [name for name, _, _ in made.runs] == ["namespaces"]
    assert "machines cannot: policy: expected none or memalloc" in capsys.readouterr().out


def test_without_names_all_that_two_backends_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made(monkeypatch)
    assert called(tmp_path, "--backends", "namespaces,simulation") == 0
    scenarios = {name.split("/")[0] for _, name, _ in made.runs}
    assert {"writeback-crunch", "kernel-writeback", "lost-quorum"} <= scenarios
    assert "controller-crash" not in scenarios
    assert "softnet" in {name.split("/")[1] for _, name, _ in made.runs}
    out = capsys.readouterr().out
    assert "left out  controller-crash: simulation: cluster.controller" in out


def test_a_changed_key_that_some_scenarios_cannot_have_leaves_those_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made(monkeypatch)
    words = ("--backends", "namespaces,simulation", "--set")
    assert called(tmp_path, *words, "cluster.switch=linux-bridge") == 0
    assert "writeback-crunch" in {name.split("/")[0] for _, name, _ in made.runs}
    out = capsys.readouterr().out
    assert "left out  controller-crash: override cluster.controller: expected none" in out
    assert called(tmp_path, *words, "cluster.nodes=none") == 2
    error = capsys.readouterr().err
    assert "two of these backends: " in error
    assert "override cluster.nodes: expected" in error


def test_a_card_is_asked_of_a_model_only_where_somebody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made(monkeypatch)
    words = ("long-crunch", "--policies", "none")
    called(tmp_path, "--backends", "namespaces,simulation", *words)
    called(tmp_path, "--backends", "machines,simulation", *words)
    called(tmp_path, "--backends", "namespaces,simulation", *words, "--nics", "vmxnet3")
    cards = [name.split("/")[3] for _, name, _ in made.runs]
    assert cards == ["no-card", "no-card", "e1000", "e1000", "vmxnet3", "vmxnet3"]


def test_models_are_run_side_by_side_and_machines_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made(monkeypatch)
    words = ("control", "--policies", "none", "--models", "own,proposal-2005")
    called(tmp_path, "--backends", "machines,simulation", *words)
    assert [name for name, _, _ in made.runs] == [
        "machines",
        "simulation",
        "simulation by proposal-2005",
    ]


def test_what_is_expected_holds_for_the_flags_of_the_scenario_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Made(monkeypatch)
    words = ("long-crunch", "--policies", "none", "--memalloc", "none,both", "--json")
    called(tmp_path, "--backends", "namespaces,simulation", *words)
    cells = orjson.loads(capsys.readouterr().out)["cells"]
    assert [(one["flags"], one["judged"]) for one in cells] == [
        ([], False),
        (["block-io", "heartbeat"], True),
    ]


def test_a_page_has_a_row_for_all_seeds_and_the_disagreements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Made(monkeypatch, simulation=seen(misses={"allocation_failure": 90}))
    page = tmp_path / "page.md"
    words = ("control", "--policies", "none", "--seeds", "1..2", "--markdown", str(page))
    called(tmp_path, "--backends", "machines,simulation", *words)
    lines = page.read_text().splitlines()
    both = "block-io+heartbeat"
    assert (
        f"| control | none | {both} | e1000 | 1, 2 | 0 of 2 | pass / pass "
        "| n1 / n1 | 40 / 90 | 2.00 / 2.00 | 1.00 / 1.00 |"
    ) in lines
    assert (f"- control, none, {both}, e1000, seed 1: missed: machines 40, simulation 90") in lines
    assert any(line.startswith("| simulation beside machines | 2 | 0 of 2 (0%)") for line in lines)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("control", "--backends", "machines"), "--backends: expected two or more, got machines"),
        (("control", *REAL, "--nics", "ne3k"), "unknown card 'ne3k'"),
        (("no-such-scenario", *REAL), "no-such-scenario"),
        (("control", *REAL, "--models", "linux-9"), "--models: memory.kernel: expected a profile"),
        (("control", *REAL, "--again", "qemu"), "unknown backend 'qemu'"),
        (("control", *REAL, "--set", "crunch"), "--set: expected KEY=VALUE"),
    ],
)
def test_wrong_words_are_refused_before_any_run(
    words: tuple[str, ...], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(tmp_path, *words) == 2
    assert line in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


SIMULATED = ("control", "--policies", "none", "--backends", "simulation", "--models")
SHORT = ("--set", "phases.control=600ms", "--set", "phases.inject=200ms")


def test_runs_are_taken_made_again_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With real runs, which are simulated: the same scenario by two models."""
    words = (*SIMULATED, "own,linux-6.1", *SHORT)
    cell = tmp_path / "out" / "control" / "none-block-io+heartbeat-no-card-1"
    place = cell / "simulation"
    assert called(tmp_path, *words) == 0
    assert {one.name for one in cell.iterdir()} == {"simulation", "simulation-linux-6.1"}

    whole = (place / HISTORY).stat().st_mtime_ns
    assert called(tmp_path, *words) == 0
    assert (place / HISTORY).stat().st_mtime_ns == whole, "taken"

    assert called(tmp_path, *words, "--again", "simulation") == 0
    again = (place / HISTORY).stat().st_mtime_ns
    assert again != whole, "made again"

    result = orjson.loads((place / RESULT).read_bytes())
    (place / RESULT).write_bytes(orjson.dumps({**result, "verdict": "invalid"}))
    assert called(tmp_path, *words) == 0
    assert (place / HISTORY).stat().st_mtime_ns != again, "it was invalid"
    assert (cell / "simulation-disturbed-1").is_dir()

    (place / RESULT).unlink()
    assert called(tmp_path, *words, "--recorded", "simulation") == 2, "no cell is recorded"
    assert called(tmp_path, *words) == 0
    assert (cell / "simulation-ended-1").is_dir()

    capsys.readouterr()
    assert called(tmp_path, *SIMULATED, "own,linux-6.1", "--set", "cluster.nodes=4") == 2
    assert "expected a run of the same cluster; choose another --out" in capsys.readouterr().err


def test_a_machine_without_root_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Lacking:
        name = "root"

    def lacks(wanted: Any) -> list[Any]:
        return [Lacking()] if wanted else []

    monkeypatch.setattr(agree, "missing", lacks)
    assert called(tmp_path, "control") == 4
    assert "this machine lacks for namespaces: root" in capsys.readouterr().err
