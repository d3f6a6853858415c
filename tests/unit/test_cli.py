"""The command line: one line and the right exit code for whatever goes wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

import crunchbed.run.engine
from crunchbed.checks.figures import Figures
from crunchbed.checks.result import Result, Verdict
from crunchbed.cli import app
from crunchbed.cli.names import compared
from crunchbed.run.progress import Progress
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, HookError, MissingRequirement, RunInvalid


class FakeEngine:
    """Answers instead of running anything; ``verdicts`` and ``errors`` by policy."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, Path, Scenario]] = []
        self.verdicts: dict[str, Verdict] = {}
        self.errors: dict[str, BaseException] = {}

    def run(
        self, scenario: Scenario, *, seed: int, out: Path, progress: Progress, scraper: object
    ) -> Result:
        assert scraper is None
        self.calls.append((scenario.policy, seed, out, scenario))
        progress.phase("control", 4.0)
        progress.note("working")
        progress.tick()
        if scenario.policy in self.errors:
            raise self.errors[scenario.policy]
        ejected = int(scenario.policy == "none")
        return Result.not_measured(scenario, seed, "").model_copy(
            update={
                "verdict": self.verdicts.get(scenario.policy, "pass"),
                "reasons": (),
                "totals": Figures(nodes_ejected=ejected, false_ejections=ejected, writes_lost=0),
            }
        )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(crunchbed.run.engine, "run", fake.run)
    monkeypatch.chdir(tmp_path)
    return fake


Captured = pytest.CaptureFixture[str]


def failing(captured: Captured, *argv: str) -> tuple[int, str]:
    """Return the exit code and the one line on stderr."""
    code = app.main(argv)
    out, err = captured.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[-1].startswith("crunchbed: ")
    assert sum(line.startswith("crunchbed: ") for line in lines) == 1
    return code, lines[-1].removeprefix("crunchbed: ")


# --- wrong input


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run"], "Missing argument 'SCENARIO'"),
        (["run", "control", "--bogus"], "No such option '--bogus'"),
        (["run", "control", "--seed", "x"], "Invalid value for '--seed'"),
        (["run", "control", "--seed", "-1"], "Invalid value for '--seed'"),
        (["compare", "control", "--repeats", "0"], "Invalid value for '--repeats'"),
        (["run", "nonesuch"], "no scenario 'nonesuch'; known: "),
        (["run", "nonesuch.yaml"], "no scenario file nonesuch.yaml"),
        (["run", "control", "--backend", "names"], "override cluster.backend: expected one of"),
        (
            ["compare", "control", "--backend", "x"],
            "override cluster.backend: expected one of name",
        ),
        (
            ["sweep", "control", "--backend", "x"],
            "override cluster.backend: expected one of namesp",
        ),
        (
            ["up", "control", "--backend", "x"],
            "override cluster.backend: expected one of namespace",
        ),
        (["run", "control", "--policy", "memaloc"], "unknown policy 'memaloc' (did you mean memal"),
        (["run", "control", "--policy", "none,memalloc"], "--policy: expected one, got none,memal"),
        (
            ["compare", "control", "--policies", "none,frob"],
            "unknown policy 'frob'; known: none, softnet, memalloc, mempool, critical",
        ),
        (["compare", "control", "--policies", ""], "unknown policy ''"),
        (["compare", "control", "--policies", "none,none"], "expected each policy once, got none,"),
        (
            ["run", "control", "--memalloc", "disk"],
            "unknown memalloc class 'disk'; known: block-io",
        ),
        (
            ["compare", "control", "--detectors", "fixed,swimm"],
            "unknown detector 'swimm' (did you mean swim?); known: fixed, phi, swim, lifeguard, c",
        ),
        (["compare", "control", "--detectors", "phi,phi"], "expected each detector once, got phi"),
        (
            ["compare", "control", "--detectors", "phi", "--memalloc", "none,both"],
            "--detectors: expected one flag setting with it, got --memalloc of more",
        ),
        (["compare", "control", "--seeds", "5..1"], "--seeds: expected A..B such as 1..5, at most"),
        (["compare", "control", "--seeds", "1..x"], "--seeds: expected A..B such as 1..5, at most"),
        (["compare", "control", "--seeds", "1..9999"], "--seeds: expected A..B such as 1..5, at m"),
        (
            ["compare", "control", "--seeds", "1..2", "--repeats", "3"],
            "--seeds: expected instead of --seed and --repeats, got both",
        ),
        (
            ["compare", "control", "--detectors", "swim,corosync", "--set", "corosync.token=50ms"],
            "override corosync.token: expected at least heartbeat.interval (100ms)",
        ),
        (["run", "control", "--set", "policy"], "--set: expected KEY=VALUE, got 'policy'"),
        (["run", "control", "--set", "memory.pages=-5"], "override memory.pages: expected a whole"),
        (["run", "control", "--set", "name=other", "--set", "x=1"], "override x: expected one of"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    argv: list[str], message: str, engine: FakeEngine, capsys: Captured
) -> None:
    code, line = failing(capsys, *argv)
    assert code == 2
    assert line.startswith(message)
    assert engine.calls == []


def test_a_wrong_scenario_file_is_one_line_with_its_place(
    engine: FakeEngine, capsys: Captured
) -> None:
    Path("mine.yaml").write_text("name: mine\nclaim: c\ncrunch: {kind: writeback, pages: -5}\n")
    code, line = failing(capsys, "run", "mine.yaml")
    assert code == 2
    expected = "mine.yaml:3: crunch.pages: expected a whole number of pages >= 1, got -5"
    assert line == expected


def test_a_directory_in_use_is_refused(engine: FakeEngine, capsys: Captured) -> None:
    Path("used").mkdir()
    Path("used/result.json").touch()
    for command in ("run", "compare"):
        code, line = failing(capsys, command, "control", "--out", "used")
        assert (code, line) == (2, "--out used: expected a new or empty directory")


# --- failures of a run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MissingRequirement("needs root: run it with sudo"), 4, "needs root: run it with sudo"),
        (RunInvalid("the cluster did not\ncome up"), 3, "the cluster did not come up"),
        (HookError("refused"), 3, "refused"),
        (BadInput("no"), 2, "no"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_a_failing_run_is_one_line_with_its_exit_code(
    error: BaseException, code: int, line: str, engine: FakeEngine, capsys: Captured
) -> None:
    engine.errors["memalloc"] = error
    assert failing(capsys, "run", "control") == (code, line)


def test_an_unexpected_error_keeps_its_traceback_in_a_file(
    engine: FakeEngine, capsys: Captured
) -> None:
    engine.errors["memalloc"] = ZeroDivisionError("of pages")
    code, line = failing(capsys, "run", "control")
    assert code == 3
    match = re.fullmatch(r"unexpected ZeroDivisionError: of pages; see (\S+)", line)
    assert match is not None
    kept = Path(match[1])
    assert "Traceback" in kept.read_text()
    kept.unlink()


def test_a_reader_that_goes_away_is_no_error() -> None:
    argv = [sys.executable, "-m", "crunchbed", "list", "--json"]
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (app.PIPE_CLOSED, b"")


def test_a_pipe_that_breaks_inside_a_run_is_an_error(engine: FakeEngine) -> None:
    """An agent's socket, not our stdout; click alone would exit with 1: a failed expectation."""
    code = (
        "import sys, crunchbed.run.engine as engine, crunchbed.cli.app as app\n"
        "def run(*_, **__): raise BrokenPipeError(32, 'agent')\n"
        "engine.run = run\n"
        "sys.exit(app.main(['run', 'control']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 3
    match = re.search(r"unexpected BrokenPipeError: .*agent; see (\S+)", ended.stderr)
    assert match is not None
    assert "BrokenPipeError" in Path(match[1]).read_text()
    Path(match[1]).unlink()


# --- run and compare


@pytest.mark.parametrize(
    ("verdict", "code"), [("pass", 0), ("fail", 1), ("invalid", 3), ("unknown", 3)]
)
def test_the_verdict_is_the_exit_code(
    verdict: Verdict, code: int, engine: FakeEngine, capsys: Captured
) -> None:
    engine.verdicts["memalloc"] = verdict
    assert app.main(["run", "control"]) == code
    out, err = capsys.readouterr()
    assert f"verdict: {verdict}" in out
    assert "control memalloc seed 1    0.0 s  control (up to 4 s)" in err


def test_options_reach_the_run(engine: FakeEngine, capsys: Captured) -> None:
    argv = ["run", "writeback-crunch", "--policy", "none", "--memalloc", "heartbeat"]
    argv += ["--seed", "7", "--out", "mine", "--set", "crunch.pages=9000"]
    assert app.main(argv) == 0
    policy, seed, out, scenario = engine.calls[0]
    assert (policy, seed, out) == ("none", 7, Path("mine"))
    assert scenario.memalloc == ("heartbeat",)
    assert scenario.resolved()["crunch"]["pages"] == 9000
    assert "run directory: mine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "flags"),
    [("none", ()), ("heartbeat,block-io", ("block-io", "heartbeat")), ("block-io", ("block-io",))],
)
def test_memalloc_is_a_set_of_classes(
    text: str, flags: tuple[str, ...], engine: FakeEngine
) -> None:
    assert app.main(["run", "control", "--memalloc", text]) == 0
    assert engine.calls[0][3].memalloc == flags


def test_json_is_alone_on_stdout(engine: FakeEngine, capsys: Captured) -> None:
    assert app.main(["run", "control", "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["verdict"] == "pass"
    assert app.main(["compare", "writeback-crunch", "--json", "--out", "both"]) == 0
    record = orjson.loads(capsys.readouterr().out)
    assert record == orjson.loads(Path("both/comparison.json").read_bytes())
    assert record["exit_code"] == 0


def test_every_policy_is_run_on_the_same_seeds(engine: FakeEngine, capsys: Captured) -> None:
    argv = ["compare", "writeback-crunch", "--repeats", "2", "--seed", "5", "--out", "both"]
    assert app.main(argv) == 0
    assert [(policy, seed, str(out)) for policy, seed, out, _ in engine.calls] == [
        ("none", 5, "both/none-5"),
        ("memalloc", 5, "both/memalloc-5"),
        ("none", 6, "both/none-6"),
        ("memalloc", 6, "both/memalloc-6"),
    ]
    out = capsys.readouterr().out
    assert "2 seeds: median [min..max]" in out
    assert "holds    none.nodes_ejected >= 1  (2/2)" in out


def test_seeds_can_be_given_as_a_range(engine: FakeEngine) -> None:
    argv = ["compare", "writeback-crunch", "--policies", "none", "--out", "both", "--seeds"]
    assert app.main([*argv, "3..5"]) == 0
    assert [seed for _, seed, _, _ in engine.calls] == [3, 4, 5]
    assert app.main([*argv[:4], "--seeds", "7"]) == 0
    assert engine.calls[-1][1] == 7


@pytest.mark.parametrize(
    ("scenario", "policies"),
    [
        ("writeback-crunch", ["none", "memalloc"]),
        ("unthrottled-socket", ["memalloc", "mempool"]),
        ("softnet-throttling", ["softnet", "memalloc"]),
        ("late-emergency", ["memalloc", "critical"]),
        ("micro-crunch", ["none", "memalloc"]),  # expects the same of every policy
        ("reserve-resize", ["memalloc"]),
    ],
)
def test_what_a_scenario_expects_something_of_is_compared(
    scenario: str, policies: list[str]
) -> None:
    assert compared(load(scenario), None) == policies
    assert compared(load(scenario), "critical,none") == ["critical", "none"]


def test_detectors_are_crossed_with_policies(engine: FakeEngine, capsys: Captured) -> None:
    argv = ["compare", "writeback-crunch", "--detectors", "fixed,swim,corosync", "--seeds", "1..2"]
    argv += ["--memalloc", "block-io", "--set", "detector={kind: swim, ping_timeout: 9ms}"]
    assert app.main([*argv, "--out", "crossed"]) == 0
    ran = [(policy, seed, str(out)) for policy, seed, out, _ in engine.calls]
    assert ran[:3] == [
        ("none", 1, "crossed/none-fixed-1"),
        ("memalloc", 1, "crossed/memalloc-fixed-1"),
        ("none", 1, "crossed/none-swim-1"),
    ]
    assert len(ran) == 12
    chosen = [(one.membership, one.detector.kind) for _, seed, _, one in engine.calls if seed == 2]
    assert chosen[::2] == [("crunchbed", "fixed"), ("crunchbed", "swim"), ("corosync", "swim")]
    assert engine.calls[2][3].resolved()["detector"] == {"kind": "swim", "ping_timeout": "9ms"}
    assert all(one.memalloc == ("block-io",) for _, _, _, one in engine.calls)
    out = capsys.readouterr().out
    assert "writeback-crunch: 2 seeds: median [min..max]" in out
    (row,) = (
        line.split() for line in out.splitlines() if line.startswith("none") and "swim" in line
    )
    assert row[:4] == ["none", "swim", "2/2", "1"]
    cells = orjson.loads(Path("crossed/matrix.json").read_bytes())
    assert [(one["policy"], one["setting"]) for one in cells][:2] == [
        ("none", "fixed"),
        ("memalloc", "fixed"),
    ]
    assert cells[0]["figures"]["false_ejections"] == [1, 1, 1]


def test_ways_to_shed_are_crossed_with_policies(engine: FakeEngine, capsys: Captured) -> None:
    """No policy, host only, switch only, both: one command."""
    argv = ["compare", "flood", "--policies", "none,memalloc", "--shed", "off,drop"]
    assert app.main([*argv, "--out", "crossed"]) == 0
    assert [(one.policy, one.shed.mode) for _, _, _, one in engine.calls] == [
        ("none", "off"),
        ("memalloc", "off"),
        ("none", "drop"),
        ("memalloc", "drop"),
    ]
    assert {one.cluster.controller for _, _, _, one in engine.calls} == {"openflow"}
    headings = capsys.readouterr().out.splitlines()[1].split()
    assert {"shed", "reaction_p50_seconds", "shed_too_late"} <= set(headings)


def test_one_way_to_shed_is_set_and_crosses_nothing(engine: FakeEngine) -> None:
    assert app.main(["compare", "flood", "--policies", "memalloc", "--shed", "meter"]) == 0
    assert [one.shed.mode for _, _, _, one in engine.calls] == ["meter"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--shed", "off,melt"], "unknown way to shed 'melt'"),
        (["--shed", "off,drop", "--memalloc", "none,both"], "--shed: expected one way to shed"),
        (["--shed", "off,drop", "--detectors", "fixed"], "--shed: expected one way to shed"),
        (
            ["--shed", "off,drop", "--set", "cluster.switch=linux-bridge"],
            "override cluster.controller: expected none with cluster.switch linux-bridge",
        ),
    ],
)
def test_a_crossing_of_sheds_that_makes_no_sense(
    more: list[str], words: str, engine: FakeEngine, capsys: Captured
) -> None:
    code, error = failing(capsys, "compare", "flood", *more)
    assert (code, engine.calls) == (2, [])
    assert error.startswith(words)


def test_one_run_that_breaks_down_does_not_end_a_comparison(
    engine: FakeEngine, capsys: Captured
) -> None:
    engine.errors["none"] = RunInvalid("the cluster did not come up")
    assert app.main(["compare", "writeback-crunch"]) == 3
    out, err = capsys.readouterr()
    assert [call[0] for call in engine.calls] == ["none"] * 3 + ["memalloc"], "tried three times"
    assert "crunchbed: none, seed 1: the cluster did not come up" in err
    assert "unknown  none.nodes_ejected >= 1" in out


def test_a_missing_requirement_ends_a_comparison(engine: FakeEngine, capsys: Captured) -> None:
    engine.errors["none"] = MissingRequirement("no root")
    assert failing(capsys, "compare", "writeback-crunch") == (4, "no root")
    assert len(engine.calls) == 1
