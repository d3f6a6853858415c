"""Ctrl-C, SIGTERM and a terminal that is closed end a run in order.

A signal interrupts nothing by itself: an exception out of the blue could leave half a thing
behind, made and not yet registered to be undone, or half undone. The run looks for one whenever it
waits (``check``); what is undone is undone to the end, however often somebody presses Ctrl-C.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Inbox:
    """The first signal that has arrived and was not told yet; handlers are global, so is this."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None

    def put(self, number: int, _frame: object) -> None:
        self.first = self.first or signal.Signals(number)


_inbox = _Inbox()


def check() -> None:
    """Raise KeyboardInterrupt, once, if a signal has arrived."""
    first, _inbox.first = _inbox.first, None
    if first is not None:
        raise KeyboardInterrupt(first.name)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block signals wait for ``check``; its end checks as well.

    One that is ignored, as SIGHUP under nohup, stays so.
    """
    heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, _inbox.put) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        check()
