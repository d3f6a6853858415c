"""Ctrl-C, SIGTERM and a terminal that is closed end a run in order.

A signal interrupts nothing by itself: an exception out of the blue could leave half a thing
behind, made and not yet registered to be undone, or half undone. The run looks for one whenever it
waits (``check``); what is undone is undone to the end, however often somebody presses Ctrl-C.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Inbox:
    """The first signal that has arrived and was not told yet; handlers are global, so is this."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.blocked: frozenset[signal.Signals] = frozenset()
        self.listener: Callable[[str], None] | None = None

    def put(self, number: int, _frame: object = None) -> None:
        self.first = self.first or signal.Signals(number)

    def fetch(self) -> None:
        """Take in what is blocked and has arrived."""
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
    """Have ``check`` tell the next signal, by its name, and raise none before the one after."""
    _inbox.listener = listener


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block signals wait for ``check``; its end checks as well.

    What a terminal sends goes to whatever runs in it, so also to the ``ovs-vsctl`` that removes
    our bridge. Those signals are blocked, which children inherit. SIGTERM is not: it is how
    children are ended. One that is ignored, as SIGHUP under nohup, stays so.
    """
    heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    _inbox.listener = None
    handlers = {each: signal.signal(each, _inbox.put) for each in heard}
    _inbox.blocked = frozenset(heard) - {signal.SIGTERM}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _inbox.blocked)
    try:
        yield
    finally:
        _inbox.fetch()
        _inbox.blocked = frozenset()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in handlers.items():
            signal.signal(each, handler)
        check()
