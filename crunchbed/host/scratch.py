"""Temporary directories that a signal removes, and that `crunchbed clean` knows after a SIGKILL.

Their names have the owner's pid and start, `crunchbed-<what>-<pid>-<ticks>-<random>`, so that a
directory whose owner has ended is told from one in use.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nodes.process import PROC, start_ticks

LOCKED: Final = "spec.json"
"""In the directory of a sweep's run: the run's process holds a lock on it until its end."""
_KEPT: Final = ".kept"
_NAME: Final = re.compile(r"crunchbed-[a-z]+-(\d+)-(\d+)-[a-z0-9_]{8}")


@contextmanager
def scratch(what: str, parent: Path | None = None) -> Iterator[Path]:
    """Yield a new directory that goes at the end of the block.

    Args:
        what: What it is for, in the letters a to z.
        parent: Where it is made; by default where temporary files go.
    """
    pid = os.getpid()
    prefix = f"crunchbed-{what}-{pid}-{start_ticks(pid)}-"
    place = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield place
    finally:
        if not (place / _KEPT).exists():
            shutil.rmtree(place, ignore_errors=True)


def keep(place: Path) -> None:
    """Have a scratch directory stay for its user: neither its end nor `clean` removes it."""
    (place / _KEPT).touch()


def runs_in(place: Path) -> list[Path]:
    """Return the directories of a sweep's runs in ``place`` whose processes have not ended."""
    specs = (place / LOCKED, *place.glob(f"*/{LOCKED}"))
    return [spec.parent for spec in specs if _is_locked(spec)]


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it is gone
        return False
    return False


def abandoned(parent: Path | None = None, proc: Path = PROC) -> list[Path]:
    """Return the directories whose owner has ended, and in which no run of a sweep goes on.

    Args:
        parent: Where they are looked for; by default where temporary files go.
        proc: The process table.
    """
    try:
        entries = list(os.scandir(parent or tempfile.gettempdir()))
    except OSError:
        return []
    found = []
    for entry in entries:
        match = _NAME.fullmatch(entry.name)
        if match is None or not entry.is_dir(follow_symlinks=False):
            continue
        place = Path(entry.path)
        in_use = start_ticks(int(match[1]), proc) == int(match[2]) or runs_in(place)
        if not in_use and not (place / _KEPT).exists():
            found.append(place)
    return sorted(found)
