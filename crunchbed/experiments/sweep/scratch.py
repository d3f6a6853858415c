"""Where the runs of a sweep on this machine work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from crunchbed.host.scratch import runs_in, scratch
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError

_END_SECONDS: Final = 60.0


@contextmanager
def workplace() -> Iterator[Path]:
    """Yield a directory for the runs of a sweep; it is removed once all their processes ended.

    A run whose worker was ended takes its cluster down before its process ends.
    """
    with scratch("sweep") as place:
        try:
            yield place
        finally:
            with suppress(CrunchbedError):
                wait_until(lambda: not runs_in(place), _END_SECONDS, "the end of the runs", 0.1)
