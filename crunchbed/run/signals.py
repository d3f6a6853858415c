"""Ctrl-C, SIGTERM and a terminal that is closed end a run in order.

A signal interrupts nothing by itself. An exception at any place could leave a thing behind that was
made and not yet registered to be undone, or that is half undone. The run looks for a signal
whenever it waits (``check``); an undo always comes to its end, however often Ctrl-C is pressed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_NAMES: Final = ("SIGTERM", "SIGHUP")
_ENDING: Final = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
_SIGNALS: Final = (signal.SIGINT, *_ENDING)


class _Inbox:
    """The first signal that arrived and was not raised yet; global, as signal handlers are."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.blocked: frozenset[signal.Signals] = frozenset()
        self.listener: Callable[[str], None] | None = None

    def put(self, number: int, _frame: object = None) -> None:
        self.first = self.first or signal.Signals(number)

    def fetch(self) -> None:
        """Take in the blocked signals that have arrived."""
        while self.blocked and (found := signal.sigtimedwait(self.blocked, 0)) is not None:
            self.put(found.si_signo)


_inbox = _Inbox()


def check() -> None:
    """Raise KeyboardInterrupt, once, if a signal has arrived."""
    _inbox.fetch()
    first, _inbox.first = _inbox.first, None
    if first is None:
        return
    listener, _inbox.listener = _inbox.listener, None
    if listener is None:
        raise KeyboardInterrupt(first.name)
    listener(first.name)


def tell_next(listener: Callable[[str], None]) -> None:
    """Have ``check`` pass the next signal's name to ``listener``; the signal after it is raised."""
    _inbox.listener = listener


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block signals wait for ``check``; the end of the block checks as well.

    A terminal sends its signals to every process that runs in it, so also to the ``ovs-vsctl`` that
    removes our bridge. These signals are blocked, which child processes inherit. SIGTERM is not
    blocked, since children are ended by it. An ignored signal stays ignored, as SIGHUP under nohup.
    """
    heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    _inbox.listener = None
    handlers = {each: signal.signal(each, _inbox.put) for each in heard}
    try:
        with _blocked(frozenset(heard) - {signal.SIGTERM}):
            yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
        check()


@contextmanager
def _blocked(signals: frozenset[signal.Signals]) -> Iterator[None]:
    """Within the block these signals wait for ``check``, where a system can tell which wait."""
    if not hasattr(signal, "sigtimedwait"):
        yield
        return
    _inbox.blocked = signals
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        _inbox.fetch()
        _inbox.blocked = frozenset()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP end it as Ctrl-C does; a second one is ignored.

    A signal that was ignored stays so, as SIGHUP under nohup.

    Raises:
        KeyboardInterrupt: one has arrived.
    """
    arrived = False

    def end(number: int, _frame: object) -> None:
        nonlocal arrived
        if not arrived:
            arrived = True
            raise KeyboardInterrupt(signal.Signals(number).name)

    heard = [each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, end) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
