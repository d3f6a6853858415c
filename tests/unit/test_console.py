"""The console of a machine: what goes where, and how somebody gets out of it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from crunchbed.cli import app, shell
from crunchbed.live import console, runs
from crunchbed.live.console import Silence, Talk, alone, open_console
from nodes.waiting import wait_until
from reserve_agent.errors import BadInput


class Terminal:
    """Keys, a screen, a guest's serial port, and the console between them in a thread."""

    def __init__(self) -> None:
        self.guest, port = socket.socketpair()
        self.guest.settimeout(10)
        self._port = port
        self._keys, self.type = os.pipe()
        self.screen, self._shown = os.pipe()
        self.ends: list[str] = []
        self.told = 0
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        self.ends.append(Talk(self._port, self._keys, self._shown, self._tell).run())

    def _tell(self) -> None:
        self.told += 1

    def press(self, keys: bytes) -> None:
        os.write(self.type, keys)

    def end(self) -> list[str]:
        self._thread.join(10)
        return self.ends

    def close(self) -> None:
        self.guest.close()
        self._thread.join(10)
        self._port.close()
        for descriptor in (self._keys, self.screen, self._shown):
            os.close(descriptor)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setattr(console, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(console, "_QUIET_SECONDS", 0.3)
    made = Terminal()
    yield made
    made.close()


def test_keys_go_to_the_guest_with_ctrl_c_and_its_words_to_the_screen(terminal: Terminal) -> None:
    terminal.press(b"sleep 9\n")
    assert terminal.guest.recv(100) == b"sleep 9\n"
    terminal.guest.send(b"sleep 9\r\n")
    assert os.read(terminal.screen, 100) == b"sleep 9\r\n"
    terminal.press(b"\x03")
    assert terminal.guest.recv(100) == b"\x03"
    terminal.press(b"\x1d")
    assert terminal.end() == ["left"]
    assert terminal.told == 0


def test_the_end_of_the_power_ends_the_console(terminal: Terminal) -> None:
    terminal.guest.close()
    assert terminal.end() == ["closed"]


def test_a_guest_that_stands_still_is_told_of_once_and_ctrl_c_leaves_it(
    terminal: Terminal,
) -> None:
    terminal.press(b"ls\n")
    wait_until(lambda: terminal.told == 1, 10, "it is told")
    terminal.press(b"x")
    assert terminal.guest.recv(100) == b"ls\n", "it would see the keys later"
    terminal.press(b"\x03")
    assert terminal.end() == ["left"]
    assert terminal.told == 1


def test_a_guest_that_answers_again_has_ctrl_c_again(terminal: Terminal) -> None:
    terminal.press(b"ls\n")
    wait_until(lambda: terminal.told == 1, 10, "it is told")
    assert terminal.guest.recv(100) == b"ls\n"
    terminal.guest.send(b"ls\r\n")
    assert os.read(terminal.screen, 100) == b"ls\r\n"
    terminal.press(b"\x03")
    assert terminal.guest.recv(100) == b"\x03"
    assert terminal.ends == []


def test_a_script_sees_the_answer_before_the_console_ends(terminal: Terminal) -> None:
    terminal.press(b"uname\n")
    os.close(terminal.type)
    assert terminal.guest.recv(100) == b"uname\n"
    terminal.guest.send(b"Linux\r\n")
    assert terminal.end() == ["left"]
    assert os.read(terminal.screen, 100) == b"Linux\r\n"


def test_keys_that_nobody_takes_do_not_hold_anybody_up(terminal: Terminal) -> None:
    for _ in range(300):
        terminal.press(b"x" * 4096)
    terminal.press(b"\x1d")
    assert terminal.end() == ["left"]


def test_silence_counts_from_the_first_key_that_has_no_answer() -> None:
    silence = Silence()
    assert not silence.news(100.0), "nobody has asked anything"
    silence.typed(100.0)
    silence.typed(101.5)
    assert not silence.news(101.9)
    assert silence.news(102.0)
    assert not silence.news(103.0)
    silence.heard()
    assert not silence.news(200.0)


def test_one_terminal_at_a_time_has_a_console(tmp_path: Path) -> None:
    path = tmp_path / "n1.console"
    with alone(path, "n1"):
        told = "another terminal has the console of n1"
        with pytest.raises(BadInput, match=told), alone(path, "n1"):
            raise AssertionError
        with alone(tmp_path / "n2.console", "n2"):
            pass
    with alone(path, "n1"):
        pass


def test_a_machine_without_power_has_no_console(tmp_path: Path) -> None:
    path = tmp_path / "n1.console"
    with pytest.raises(BadInput, match="n1 of run ab12 has no power, and so no console"):
        open_console(path, "n1", "ab12")
    left = socket.socket(socket.AF_UNIX)  # as of a QEMU that was killed
    left.bind(str(path))
    left.close()
    with pytest.raises(BadInput, match="n1 of run ab12 has no power"):
        open_console(path, "n1", "ab12")


def test_a_machine_takes_no_command_and_has_a_console_while_it_is_held_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shell, "chosen_run", lambda _: "ab12")
    monkeypatch.setattr(runs, "STATE_ROOT", tmp_path)
    (tmp_path / "ab12").mkdir()
    (tmp_path / "ab12" / "n1.attendant.json").write_text("{}")
    assert app.main(["shell", "n1", "--", "ps", "-a"]) == 2
    assert capsys.readouterr().err == "crunchbed: n1 is a machine: type 'ps' at its console\n"
    assert app.main(["shell", "n1"]) == 2
    assert "while `crunchbed up` holds its cluster open" in capsys.readouterr().err
