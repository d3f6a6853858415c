"""Temporary directories: gone at a signal, known to `clean` after a SIGKILL."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.cli import app
from crunchbed.experiments import attempts
from crunchbed.host import leaks, scratch
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from nodes.process import start_ticks
from reserve_agent.errors import CrunchbedError

Captured = pytest.CaptureFixture[str]

# Each command is stopped where it uses its directory, for a signal to hit it there.
HOLD = """
import sys, time
def hold(*_arguments, **_options):
    print("ready", flush=True)
    time.sleep(60)
"""
COMMANDS = {
    "judge": "import crunchbed.cli.bundle as m; m.unpack = hold",
    "query": "import crunchbed.store.database as m; m.run_directories = repr; m.rows = hold",
    "audit": "import crunchbed.live.gather as m; m._observe = hold; m.ready_backend = id",
    "sweep": "import crunchbed.cli.sweep as m; m._pool = hold",
}
ARGUMENTS = {
    "judge": ("judge", "x.crunchbed.tar.gz"),
    "query": ("query", "SELECT 1", "--runs", "runs"),
    "audit": ("audit", "control"),
    "sweep": ("sweep", "control", "--vary", "heartbeat.misses=4,5"),
}


class Killed:
    """A command that uses its scratch directory below ``tmp`` when a signal hits it."""

    def __init__(self, name: str, place: Path) -> None:
        self.tmp = place / "tmp"
        self.tmp.mkdir()
        code = f"{HOLD}{COMMANDS[name]}\nfrom crunchbed.cli import app\nsys.exit(app.main())"
        environment = {**os.environ, "TMPDIR": str(self.tmp)}
        self.popen = subprocess.Popen(
            ["env", "--default-signal=TERM,HUP", sys.executable, "-c", code, *ARGUMENTS[name]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=place,
            env=environment,
        )
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline() == "ready\n", self.popen.communicate()[1]

    def end(self, number: signal.Signals) -> tuple[int, str]:
        self.popen.send_signal(number)
        errors = self.popen.communicate(timeout=30)[1]
        return self.popen.returncode, errors.strip()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(name: str, number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    command = Killed(name, tmp_path)
    assert len(list(command.tmp.iterdir())) == 1
    assert command.end(number) == (130, "crunchbed: interrupted")
    assert list(command.tmp.iterdir()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_kill_leaves_clean_knows(name: str, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    command = Killed(name, tmp_path)
    assert scratch.abandoned(command.tmp) == [], "its owner lives"
    command.end(signal.SIGKILL)
    (place,) = command.tmp.iterdir()
    assert place.name.startswith(f"crunchbed-{name}-")
    assert scratch.abandoned(command.tmp) == [place]


@pytest.fixture
def cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `crunchbed clean` looks for temporary directories; there are no runs."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for name in ("dead_runs", "dead_probes", "known_runs"):
        monkeypatch.setattr(leaks, name, set)
    return tmp_path


def dead(parent: Path, what: str = "sweep") -> Path:
    """Make a directory whose owner has ended."""
    place = parent / f"crunchbed-{what}-4194304-7-abcd_123"
    place.mkdir()
    return place


def test_clean_removes_those_of_the_dead_and_no_other(cleaned: Path, capsys: Captured) -> None:
    (dead(cleaned) / "x").write_text("")
    other = cleaned / "crunchbed-sweep-results1"
    other.mkdir()
    link = cleaned / "crunchbed-sweep-4194304-8-abcd_123"
    link.symlink_to(other)
    recycled = cleaned / f"crunchbed-judge-{os.getpid()}-7-abcd_123"
    recycled.mkdir()
    with scratch.scratch("judge") as mine:
        assert mine.parent == cleaned
        assert app.main(["clean", "--dry-run"]) == 0
        said = capsys.readouterr().out
        assert said.count("would remove scratch") == 2
        assert app.main(["clean"]) == 0
        assert sorted(cleaned.iterdir()) == sorted([other, link, mine])
    said = capsys.readouterr().out
    assert said.splitlines() == [
        f"{name}: removed scratch {cleaned / name}"
        for name in sorted((recycled.name, "crunchbed-sweep-4194304-7-abcd_123"))
    ]
    assert not mine.exists()


@pytest.mark.parametrize("below", ["spec.json", "crunchbed-trial-1-2-abcd_123/spec.json"])
def test_a_run_that_still_takes_its_cluster_down_keeps_its_directory(
    below: str, tmp_path: Path
) -> None:
    place = dead(tmp_path)
    (place / below).parent.mkdir(exist_ok=True)
    (place / below).write_text("{}")
    with (place / below).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert scratch.abandoned(tmp_path) == []
    assert scratch.abandoned(tmp_path) == [place]


def test_what_is_kept_for_its_user_stays(tmp_path: Path) -> None:
    with pytest.raises(CrunchbedError), scratch.scratch("audit", tmp_path) as place:
        scratch.keep(place)
        raise CrunchbedError
    assert place.is_dir()
    kept = dead(tmp_path)
    scratch.keep(kept)
    assert scratch.abandoned(tmp_path) == []


def test_its_name_tells_its_owner(tmp_path: Path) -> None:
    with scratch.scratch("query", tmp_path) as place:
        pid = os.getpid()
        assert place.name.startswith(f"crunchbed-query-{pid}-{start_ticks(pid)}-")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_between_two_runs_begins_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def execute(scenario: Scenario, seed: int, *_: object, **__: object) -> Result:
        made.append(seed)
        signal.raise_signal(signal.SIGTERM)  # after the run, which hears signals itself
        return Result.not_measured(scenario, seed, "x")

    monkeypatch.setattr(attempts, "execute", execute)
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        attempts.attempt_each(load("control"), ["none"], [1, 2], tmp_path)
    assert made == [1]
