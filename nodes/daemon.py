"""What every daemon of a node has in common: its configuration, its events, its end by SIGTERM."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.contract.events import Event
from reserve_agent.errors import CrunchbedError
from reserve_agent.events import Events, EventSink

Config = Mapping[str, Any]


class Stop:
    """Becomes true when SIGTERM arrives."""

    def __init__(self) -> None:
        self._stopping = False
        signal.signal(signal.SIGTERM, self._set)

    def _set(self, *_: object) -> None:
        self._stopping = True

    def __bool__(self) -> bool:
        return self._stopping


class NoEvents:
    """For a daemon on a host without an agent."""

    def emit(self, event: Event | str, *, t: int | None = None, **fields: Any) -> None:
        """Drop the event."""


def connect_events(config: Config) -> Events:
    """The agent's socket, where the configuration names one."""
    return EventSink(Path(config["events"])) if config.get("events") else NoEvents()


def run_daemon(name: str, body: Callable[[Config], None]) -> int:
    """Read the configuration file that is the only argument, run ``body``, give an exit code."""
    try:
        body(orjson.loads(Path(sys.argv[1]).read_bytes()))
    except (CrunchbedError, OSError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    return 0
