"""Where the runs of a sweep on this machine work, and how a signal ends the sweep."""

from __future__ import annotations

import fcntl
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError

SPEC: Final = "spec.json"
"""In the directory of a run: what is run. The run's process holds a lock on it until its end."""
_END_SECONDS: Final = 60.0
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a directory for the runs of a sweep; it is removed once all their processes ended.

    A run whose worker was ended takes its cluster down before its process ends.
    """
    with tempfile.TemporaryDirectory(prefix="crunchbed-sweep-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        try:
            yield place
        finally:
            with suppress(CrunchbedError):
                wait_until(lambda: not going_on(place), _END_SECONDS, "the end of the runs", 0.1)


def going_on(place: Path) -> list[Path]:
    """Return the directories of the runs in ``place`` whose processes have not ended."""
    return [spec.parent for spec in place.glob(f"*/{SPEC}") if _is_locked(spec)]


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the block the first SIGTERM or SIGHUP raises KeyboardInterrupt; a second is ignored.

    A signal that was ignored stays so, as SIGHUP under nohup.
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
