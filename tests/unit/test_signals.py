"""A signal waits until the run looks, and is not forgotten."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from crunchbed.run import signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """Whoever started the tests may have ignored some: nohup, a shell's background job."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    for number in NUMBERS:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    """Hit the run's own thread: one of the test runner's would take the signal at any time."""
    signal.pthread_kill(threading.main_thread().ident or 0, number)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_is_raised_where_the_run_looks(number: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt, match=number.name), signals.interruptible():
        send(number)
        done.append("goes on")
        signals.check()
        done.append("never")
    assert done == ["goes on"]


def test_it_is_raised_once_so_that_undoing_may_look_too() -> None:
    undone = []
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        try:
            send(signal.SIGTERM)
            signals.check()
        finally:
            signals.check()
            undone.append(True)
    assert undone == [True]


def test_more_of_them_while_undoing_change_nothing() -> None:
    undone = []
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        try:
            send(signal.SIGINT)
            signals.check()
        finally:
            send(signal.SIGINT)
            send(signal.SIGTERM)
            undone.append(True)
    assert undone == [True]


def test_one_that_nobody_looked_for_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        send(signal.SIGINT)


def test_it_outweighs_an_error() -> None:
    """Ctrl-C at a terminal hits our helpers as well, and their failure is not the news."""
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        send(signal.SIGINT)
        raise OSError("Open vSwitch refused: exit code -2")


def test_without_a_signal_nothing_happens_and_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with signals.interruptible():
        signals.check()
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_the_next_one_can_be_told_in_place_of_being_raised() -> None:
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"), signals.interruptible():
        signals.tell_next(told.append)
        signals.check()
        send(signal.SIGINT)
        signals.check()
        assert told == ["SIGINT"]
        send(signal.SIGTERM)
        signals.check()
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        signals.tell_next(told.append)
        with signals.interruptible():
            send(signal.SIGINT)
            signals.check()
    assert told == ["SIGINT"], "a run's listener is gone with it"


def test_one_interrupted_run_does_not_interrupt_the_next() -> None:
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        send(signal.SIGINT)
    with signals.interruptible():
        signals.check()


def test_a_terminals_signals_do_not_hit_what_the_run_starts() -> None:
    """Ctrl-C goes to the whole foreground; SIGTERM must still end a child."""
    child = "import os, signal; os.kill(os.getpid(), signal.{}); print('alive')"
    with signals.interruptible():
        answers = [
            subprocess.run(
                [sys.executable, "-c", child.format(number.name)],
                capture_output=True,
                check=False,
            ).stdout
            for number in NUMBERS
        ]
    assert answers == [b"alive\n", b"", b"alive\n"]


def test_the_mask_is_put_back() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        send(signal.SIGHUP)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_an_ignored_signal_stays_ignored() -> None:
    """As SIGHUP is under nohup."""
    code = (
        "import os, signal\n"
        "from crunchbed.run import signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with signals.interruptible():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    signals.check()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
