"""Processes, as far as no root is needed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nodes import enter
from nodes.process import Process, kill_if, spawn, start_ticks
from nodes.waiting import wait_until


def start(tmp_path: Path, *argv: str) -> Process:
    return spawn(argv, name="it", log=tmp_path / "log", netns_pid=None, cgroup=None)


def test_output_and_exit_code(tmp_path: Path) -> None:
    process = start(tmp_path, sys.executable, "-c", "print('hello'); raise SystemExit(7)")
    wait_until(lambda: process.poll() is not None, 10, "its end")
    assert process.poll() == 7
    assert process.last_words() == "hello"


def test_a_missing_program_is_one_line_and_exit_125(tmp_path: Path) -> None:
    process = start(tmp_path, "/no/such/program")
    wait_until(lambda: process.poll() is not None, 10, "its end")
    assert process.poll() == enter.FAILED
    assert process.log.read_text() == (
        "crunchbed: cannot execute /no/such/program: No such file or directory\n"
    )


def test_terminate_falls_back_to_kill(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)"
    process = start(tmp_path, sys.executable, "-c", f"{stubborn}; time.sleep(60)")
    wait_until(lambda: process.last_words() == "up", 10, "it is up")
    assert process.terminate(timeout=0.1) == -signal.SIGKILL


def test_terminate_is_a_sigterm_first(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    assert process.terminate(timeout=10) == -signal.SIGTERM
    assert process.terminate(timeout=10) == -signal.SIGTERM


def test_signals_python_ignores_are_back_to_default(tmp_path: Path) -> None:
    process = start(tmp_path, "grep", "SigIgn", "/proc/self/status")
    wait_until(lambda: process.poll() is not None, 10, "its end")
    ignored = int(process.last_words().split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))
    assert not ignored & (1 << (signal.SIGXFSZ - 1))


def test_dies_with_the_process_that_spawned_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from nodes.process import spawn\n"
        f"p = spawn(['sleep', '60'], name='it', log=Path({str(tmp_path / 'log')!r}),"
        " netns_pid=None, cgroup=None)\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        argv = Path(f"/proc/{child}/cmdline")
        wait_until(lambda: argv.read_bytes() == b"sleep\x0060\x00", 10, "it is itself")
        parent.kill()
    wait_until(lambda: start_ticks(child) is None, 10, "the child is gone")


def test_a_parent_gone_before_the_tie_is_noticed() -> None:
    argv = [sys.executable, "-I", "-S", enter.__file__, "1", "-", "-", "-", "true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (enter.FAILED, 1)
    assert "parent" in done.stderr


@pytest.mark.parametrize("name", ["bash", "a) b (c", "x) R 1 1"])
def test_start_ticks_reads_past_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "7").mkdir()
    rest = " ".join(["S", "1", *["0"] * 17, "4321", "99"])
    (tmp_path / "7" / "stat").write_text(f"7 ({name}) {rest}\n")
    assert start_ticks(7, tmp_path) == 4321


def test_a_zombie_has_no_start() -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        state = Path(f"/proc/{child.pid}/stat")
        wait_until(lambda: ") Z " in state.read_text(), 10, "it is a zombie")
        assert start_ticks(child.pid) is None
    assert start_ticks(os.getpid()) is not None


def test_kill_if_asks_first() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        kill_if(child.pid, lambda _pid: False)
        assert child.poll() is None
        kill_if(child.pid, lambda _pid: True)
        assert child.wait(10) == -signal.SIGKILL
