"""What every daemon of a node has in common: its start, its configuration, its events, its end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from reserve_agent.config_files import read_config
from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.events import Events, EventSink, NoEvents

Config = TypeVar("Config")


class Stop:
    """Becomes true when SIGTERM arrives; its descriptor is then ready to be read."""

    def __init__(self) -> None:
        self._stopping = False
        # A signal handler alone does not end a select: Python goes on waiting.
        self._ready, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written)
        signal.signal(signal.SIGTERM, self._set)

    def _set(self, *_: object) -> None:
        self._stopping = True

    def __bool__(self) -> bool:
        return self._stopping

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._ready


def connect_events(socket_path: Path | None, name: str) -> Events:
    """Return a sink that reports to the agent's socket; one that drops everything for None.

    The first letter of the daemon's ``name`` tells its events from those of the node's others.
    """
    return NoEvents() if socket_path is None else EventSink(socket_path, name[:1])


def main(name: str, model: type[Config], body: Callable[[Config, Stop], None]) -> int:
    """Read the configuration file that is the only argument, run ``body``, return the exit code.

    An error is one line on stderr that begins with ``name``. The exit code is the error's own, or 1
    for an ``OSError``. ``body`` runs until it is told to stop.
    """
    try:
        if len(sys.argv) != 2:
            raise BadInput("expected one argument, a configuration file")
        body(read_config(Path(sys.argv[1]), model), Stop())
    except (CrunchbedError, OSError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return error.exit_code if isinstance(error, CrunchbedError) else 1
    return 0
