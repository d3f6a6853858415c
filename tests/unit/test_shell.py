"""A shell on a node: there is one as long as the node has power."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from crunchbed.cli import app, shell
from crunchbed.host.run_ids import RunClaim
from crunchbed.live import foreground, runs
from nodes.enter import become
from nodes.process import start_ticks
from nodes.waiting import wait_until
from reserve_agent.errors import BadInput, CrunchbedError


class Node:
    """A node of a live run, as the commands beside the run see it; a file is its cgroup."""

    def __init__(self, place: Path) -> None:
        self.cgroup = place / "cgroup"
        self.cgroup.mkdir()
        self.power = place / "n1.power"
        self.place = runs.Place(os.getpid(), self.cgroup, self.power)

    def pids(self) -> list[int]:
        procs = self.cgroup / "cgroup.procs"
        return [int(procs.read_text() or 0)] if procs.exists() else []

    def lose_power(self) -> None:
        """Do what the run does."""
        self.power.unlink()
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    made = Node(tmp_path)
    made.power.write_text("0")
    monkeypatch.setattr(shell, "chosen_run", lambda _: "ab12")
    monkeypatch.setattr(runs, "place_of", lambda _run, _node: made.place)
    monkeypatch.setattr(shell, "enter_netns", lambda _path: None)
    return made


def test_a_node_without_power_has_no_shell(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.power.unlink()
    assert app.main(["shell", "n1"]) == 2
    line = "crunchbed: n1 of run ab12 has no power, and so no shell: `crunchbed status`\n"
    assert capsys.readouterr().err == line
    assert node.pids() == []


def test_power_that_goes_while_a_shell_starts_is_seen(node: Node) -> None:
    node.power.unlink()
    with pytest.raises(BadInput, match="n1 of run ab12 has no power"):
        shell._enter("ab12", "n1", node.place, ["true"])
    assert node.pids() == [os.getpid()], "who looks before joining can miss the loss of power"


def test_a_shell_that_is_open_ends_with_the_power_and_says_so(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose_power() -> None:
        wait_until(lambda: any(node.pids()), 20, "the shell")
        node.lose_power()

    other = threading.Thread(target=lose_power)
    other.start()
    began = time.monotonic()
    assert app.main(["shell", "n1", "--", "sleep", "60"]) == 128 + signal.SIGKILL
    assert time.monotonic() - began < 30
    other.join()
    line = "crunchbed: n1 of run ab12 has lost its power: the shell on it was ended\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", 143)])
def test_the_exit_code_is_the_commands(
    script: str, code: int, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["shell", "n1", "--", "sh", "-c", script]) == code
    assert capsys.readouterr().err == ""


def test_a_cgroup_that_is_gone_is_one_line(node: Node) -> None:
    (node.cgroup / "cgroup.procs").mkdir()
    with pytest.raises(CrunchbedError, match="cannot run true on n1: Is a directory"):
        shell._enter("ab12", "n1", node.place, ["true"])


def test_the_file_of_the_power_is_beside_the_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "STATE_ROOT", tmp_path)
    with RunClaim.claim(tmp_path) as state:
        (state.path / "n1.agent").write_text("")
        (state.path / "n1.agent.json").write_text('{"netns_pid": 1, "cgroup": "/x"}')
        place = runs.place_of(state.run_id, "n1")
        assert runs.boot_of(place) is None
        (state.path / "n1.power").write_text("2")
        assert runs.boot_of(place) == "2"


CHILD = """
import sys
from crunchbed.live import foreground
from nodes.enter import become
print(foreground.run(lambda: become(sys.argv[1:])), flush=True)
"""


def in_the_foreground(*argv: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_ctrl_c_is_for_the_program_alone() -> None:
    ready = "trap 'exit 5' INT; echo ready; while :; do sleep 0.01; done"
    process = in_the_foreground("sh", "-c", ready)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=20) == ("5\n", None)
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_reaches_the_program(number: signal.Signals) -> None:
    process = in_the_foreground("sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=20) == (f"{-number}\n", None)


def test_a_killed_command_takes_its_program_along() -> None:
    process = in_the_foreground("sh", "-c", "echo $$; exec sleep 60")
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.communicate()
    wait_until(lambda: start_ticks(child) is None, 20, "the end of the program")


def test_a_program_that_stops_stops_the_command_too() -> None:
    process = in_the_foreground("sh", "-c", "kill -STOP $$; exit 6")

    def state() -> str:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        return re.sub(r".*\) (.).*", r"\1", stat.strip(), flags=re.DOTALL)

    wait_until(lambda: state() == "T", 20, "the command is stopped")
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=20) == ("6\n", None)


def test_a_terminal_is_as_before_after_a_program_that_was_killed() -> None:
    leader, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    command = [sys.executable, "-c", CHILD, "sh", "-c", "stty raw -echo; kill -KILL $$"]
    process = subprocess.Popen(command, stdin=terminal, stdout=subprocess.DEVNULL)
    assert process.wait(20) == 0
    assert termios.tcgetattr(terminal) == before
    assert foreground.run(lambda: become(["true"])) == 0
    os.close(leader)
    os.close(terminal)
