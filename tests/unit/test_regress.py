"""Baselines and `crunchbed regress`, on figures of real runs."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

import crunchbed.run.engine
from crunchbed.checks.result import Result
from crunchbed.cli import app
from crunchbed.experiments import baseline as baselines
from crunchbed.experiments.baseline import Baseline
from crunchbed.experiments.regress import regress
from crunchbed.run.progress import Progress
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, RunInvalid
from tests.unit.judged_runs import scenario
from tests.unit.recorded_figures import changed, dice, drawn, recorded

Captured = pytest.CaptureFixture[str]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class RecordedEngine:
    """Returns recorded results; with ``weak`` those of a policy that no longer saves its node."""

    def __init__(self) -> None:
        self.weak: set[int] = set()
        self.calls: list[tuple[str, int, Path]] = []

    def run(
        self, scenario: Scenario, *, seed: int, out: Path, progress: Progress, **_more: object
    ) -> Result:
        progress.phase("control", 4.0)
        self.calls.append((scenario.policy, seed, out))
        number = len(self.calls)
        policy = "none" if number in self.weak else scenario.policy
        result = drawn(policy, 1, dice(number))[0]
        weak = {"verdict": "fail"} if policy != scenario.policy else {}
        return result.model_copy(update={"policy": scenario.policy, "seed": seed, **weak})


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RecordedEngine:
    fake = RecordedEngine()
    monkeypatch.setattr(crunchbed.run.engine, "run", fake.run)
    monkeypatch.chdir(tmp_path)
    return fake


def saved(engine: RecordedEngine, captured: Captured) -> None:
    options = ("--policies", "memalloc", "--repeats", "5")
    assert app.main(["baseline", "save", "nightly", "writeback-crunch", *options]) == 0
    engine.calls.clear()
    captured.readouterr()


def test_a_baseline_is_read_back_equal(tmp_path: Path) -> None:
    kept = Baseline.of("nightly", scenario(), recorded("memalloc"), NOW)
    assert kept.write(tmp_path / "new") == tmp_path / "new" / "nightly.json"
    found = baselines.read("nightly", tmp_path / "new")
    assert found == kept
    assert found.made == "2026-01-02T03:04:05Z"
    assert (found.policies, found.seeds) == (("memalloc",), (6, 7, 8, 9, 10))
    assert found.read_scenario().resolved() == scenario().resolved()


def test_too_few_valid_runs_make_no_baseline() -> None:
    with pytest.raises(RunInvalid, match="expected 5 valid runs of memalloc or more, got 4"):
        Baseline.of("nightly", scenario(), recorded("memalloc")[:4], NOW)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "expected a baseline"),
        (b"{}", "expected a baseline of format 1"),
        (
            b'{"name": "x", "made": "", "processors": 1, "scenario": {}, "runs": []}',
            "runs: expected a baseline",
        ),
        (b'{"format": 2}', "format: expected a baseline of format 1"),
    ],
)
def test_a_damaged_baseline_is_one_line(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(BadInput, match=words) as caught:
        baselines.read("x", tmp_path)
    assert "\n" not in str(caught.value)


def test_no_change_is_quiet(engine: RecordedEngine, capsys: Captured) -> None:
    saved(engine, capsys)
    assert app.main(["regress", "nightly"]) == 0
    out = capsys.readouterr().out
    assert "verdict: no regression" in out
    assert [(policy, seed) for policy, seed, _ in engine.calls] == [
        ("memalloc", seed) for seed in range(1, 6)
    ]


def test_a_regression_is_confirmed_by_a_second_set_of_runs(
    engine: RecordedEngine, capsys: Captured, tmp_path: Path
) -> None:
    saved(engine, capsys)
    engine.weak = set(range(1, 11))
    assert app.main(["regress", "nightly", "--json", "--junit", "r.xml", "--out", "o"]) == 1
    record = orjson.loads(capsys.readouterr().out)
    assert record["exit_code"] == 1
    figures = {one["figure"] for one in record["regressions"]}
    assert {"nodes_ejected", "runs_failed"} <= figures
    places = [out.relative_to("o") for _, _, out in engine.calls]
    assert places[0] == Path("first/memalloc-1")
    assert places[9] == Path("second/memalloc-5")
    suite = ElementTree.parse(tmp_path / "r.xml").getroot()[0]  # noqa: S314 - our own
    failed = {case.attrib["name"] for case in suite if case.find("failure") is not None}
    assert failed == figures
    names = {case.attrib["classname"] for case in suite}
    assert names == {"crunchbed.regress.nightly.memalloc"}, "what CI systems know the cases by"


def test_one_that_a_second_set_does_not_show_is_told_and_no_regression(
    engine: RecordedEngine, capsys: Captured
) -> None:
    saved(engine, capsys)
    engine.weak = set(range(1, 6))
    assert app.main(["regress", "nightly"]) == 0
    out = capsys.readouterr().out
    assert "not confirmed by a second set of runs: memalloc nodes_ejected" in out
    assert "verdict: no regression" in out
    engine.calls.clear()
    assert app.main(["regress", "nightly", "--once"]) == 1


def test_a_lost_write_is_a_regression_whether_or_not_it_happens_again() -> None:
    kept = Baseline.of("nightly", scenario(), recorded("memalloc"), NOW)
    losing = [*recorded("memalloc")]
    losing[:1] = changed(losing[:1], lambda _: {"writes_lost": 1})
    outcome = regress(kept, losing, tolerance=0.25, again=lambda _: recorded("memalloc"))
    assert [one.figure for one in outcome.regressions] == ["writes_lost"]
    assert outcome.exit_code == 1


def test_runs_that_say_nothing_are_not_known() -> None:
    kept = Baseline.of("nightly", scenario(), recorded("memalloc"), NOW)
    runs = [run.model_copy(update={"verdict": "invalid"}) for run in recorded("memalloc")]
    outcome = regress(kept, runs, tolerance=0.25)
    assert outcome.exit_code == 3
    assert outcome.unknown == ("memalloc: 0 seeds with valid runs then and now, 5 are needed",)


def test_another_machine_is_noted() -> None:
    kept = Baseline.of("nightly", scenario(), recorded("memalloc"), NOW)
    versions = {"kernel": "7.0", "crunchbed": "0.1.0"}
    runs = [run.model_copy(update={"versions": versions}) for run in recorded("memalloc")]
    assert regress(kept, runs, tolerance=0.25).notes == ("kernel 6.18 then, 7.0 now",)


def test_a_wider_tolerance_allows_more() -> None:
    kept = Baseline.of("nightly", scenario(), recorded("memalloc"), NOW)
    slower = changed(recorded("memalloc"), lambda t: {"pressure_seconds": t.pressure_seconds * 1.5})
    assert regress(kept, slower, tolerance=0.25).exit_code == 1
    assert regress(kept, slower, tolerance=0.6).exit_code == 0


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["regress", "nonesuch"], "no baseline 'nonesuch' in baselines; known: nightly; `crunch"),
        (["regress", "../etc"], "baseline '../etc': expected a name of letters, digits"),
        (["baseline", "save", "nightly", "control"], "nightly: is there already; --replace"),
        (["baseline", "save", "x"], "expected a SCENARIO to run, or --from DIR"),
        (["baseline", "save", "x", "--from", "empty"], "empty: expected a directory of runs"),
        (
            ["baseline", "save", "x", "control", "--repeats", "3"],
            "3 is not in the range 5<=x<=1000",
        ),
        (["regress", "nightly", "--tolerance", "-1"], "-1.0 is not in the range 0<=x<=100"),
        (["regress", "nightly", "--from", "empty"], "empty: expected a directory of runs"),
    ],
)
def test_wrong_input_is_one_line(
    argv: list[str], line: str, engine: RecordedEngine, capsys: Captured
) -> None:
    Baseline.of("nightly", scenario(), recorded("memalloc"), NOW).write(Path("baselines"))
    assert app.main(argv) == 2
    err = capsys.readouterr().err
    assert line in err
    assert len(err.splitlines()) == 1
    assert engine.calls == []


def test_baselines_are_listed(engine: RecordedEngine, capsys: Captured) -> None:
    assert app.main(["baseline", "list"]) == 0
    assert capsys.readouterr().out == "no baselines in baselines\n"
    saved(engine, capsys)
    assert app.main(["baseline", "list"]) == 0
    assert capsys.readouterr().out.startswith("nightly  writeback-crunch  memalloc  5 seeds  2")
    assert app.main(["baseline", "list", "--json"]) == 0
    (row,) = orjson.loads(capsys.readouterr().out)
    assert (row["name"], row["seeds"]) == ("nightly", 5)


def test_a_busier_machine_is_noted() -> None:
    runs = recorded("memalloc")
    kept = Baseline.of("nightly", scenario(), runs, NOW)
    busy = changed(runs, lambda _: {"testbed_late_seconds": 0.07})
    (note,) = regress(kept, busy, tolerance=0.25).notes
    assert "memalloc: the machine was busier, its processes woke up to 70 ms late, 0 ms" in note
