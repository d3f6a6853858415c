"""Exit codes are those of the README on any terminal, and at any path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

import crunchbed.run.engine
from crunchbed.checks.result import Result
from crunchbed.cli import app
from crunchbed.cli.options import Options
from crunchbed.scenario.schema import Scenario

ROOT = Path(__file__).resolve().parents[2]


def shell(line: str, cwd: Path | bytes | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line in which ``crunchbed`` is the command of this checkout."""
    command = f'{sys.executable} -m crunchbed "$@"'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", f"crunchbed() {{ {command}; }}; {line}"],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env=environment,
        cwd=cwd,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code", "errors"),
    [
        ("crunchbed list >&-", 0, ""),
        ("crunchbed list >/dev/null 2>&-", 0, ""),
        ("crunchbed list >/dev/null <&-", 0, ""),
        ("crunchbed list <&- >&- 2>&-", 0, ""),
        ("crunchbed run nonesuch <&- >&- 2>&-", 2, ""),
        ("crunchbed run nonesuch 2>/dev/full", 2, ""),
        ("crunchbed nonsense 2>/dev/full", 2, ""),
        ("crunchbed list >/dev/full", 3, "stdout cannot be written: No space left on device"),
        ("crunchbed list >/dev/full 2>/dev/full", 3, ""),
        ("crunchbed --help >/dev/full", 3, "stdout cannot be written: No space left on device"),
    ],
)
def test_streams_that_are_closed_or_full_leave_the_exit_code(
    line: str, code: int, errors: str
) -> None:
    done = shell(line)
    assert done.returncode == code
    assert done.stderr == (f"crunchbed: {errors}\n" if errors else "")


def test_a_path_that_is_not_utf_8_is_a_path(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff"
    Path(os.fsdecode(odd)).mkdir()
    good, bad = Path(os.fsdecode(odd), "good.yaml"), Path(os.fsdecode(odd), "bad.yaml")
    good.write_text("name: good\nclaim: c\n")
    bad.write_text("name: bad\nclaim: c\npolicy: z\n")
    here = shell("crunchbed validate good.yaml bad.yaml", odd)
    assert here.returncode == 2
    assert here.stdout.startswith("good.yaml: a scenario\nbad.yaml:3: policy: expected one of ")
    away = shell(f"crunchbed validate --json {tmp_path}/$'\\xff'/bad.yaml")
    assert away.returncode == 2
    # orjson refuses the odd byte's escape.
    assert '"problems": 1' in away.stdout
    assert "\\udcff/bad.yaml" in away.stdout
    for command in ("report", "judge", "bundle"):
        done = shell(f"crunchbed {command} $PWD", odd)
        assert done.returncode == 2
        assert "unexpected" not in done.stderr
    made = shell("crunchbed new mine && crunchbed validate mine.yaml", odd)
    assert made.returncode == 0


def test_the_directory_of_a_run_with_a_long_name_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "a" * 250
    Path(f"{name}.yaml").write_text(f"name: {name}\nclaim: c\n")
    chosen = Options().scenario(f"{name}.yaml")
    directory = Options().directory(f"{chosen.name}-{chosen.policy}-1")
    directory.mkdir(parents=True)
    assert directory.is_dir()


@pytest.fixture
def failing_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let every run fail an expectation, and take the directory of the pictures away meanwhile."""

    def run(scenario: Scenario, *, seed: int, out: Path, **_: object) -> Result:
        (tmp_path / "there").rename(tmp_path / "away")
        (tmp_path / "there").write_text("a file")
        done = Result.not_measured(scenario, seed, "it ejected")
        return done.model_copy(update={"verdict": "fail"})

    monkeypatch.setattr(crunchbed.run.engine, "run", run)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize(("option", "name"), [("--png", "x.png"), ("--junit", "x.xml")])
@pytest.mark.usefixtures("failing_run")
def test_what_cannot_be_written_does_not_hide_the_verdict(
    command: str, option: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [] if command == "run" else ["--policies", "none"]
    code = app.main([command, "control", *more, "--json", option, f"there/{name}"])
    out, err = capsys.readouterr()
    assert code == 1
    assert "fail" in str(orjson.loads(out))
    lines = [line for line in err.splitlines() if line.startswith("not written: there/")]
    assert len(lines) == 1
    assert name in lines[0]


def test_a_picture_of_another_kind_is_refused_before_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.main(["run", "control", "--png", "x.svg"]) == 2
    assert "--png x.svg: expected a name that ends in .png" in capsys.readouterr().err
    assert app.main(["run", "control", "--png", f"{'a' * 300}/x.png"]) == 2
    assert "cannot be made: File name too long" in capsys.readouterr().err
