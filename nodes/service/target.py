"""The target of this node, as a process that the service starts, watches and ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodes.block import target
from nodes.block.target import TargetSettings
from nodes.process import Process, spawn
from reserve_agent.errors import CrunchbedError

_START_NS = 5_000_000_000


def target_settings(record: Mapping[str, Any]) -> TargetSettings:
    """Read the settings out of a daemon's configuration."""
    chap = record["chap"]
    paths = {name: Path(record[name]) for name in ("disk", "control")}
    return TargetSettings(**{**record, **paths, "chap": None if chap is None else tuple(chap)})


class ServedTarget:
    """One target process, from its start to its end.

    Nothing here waits for long: whoever serves must hear of the membership meanwhile.

    Args:
        settings: what is served where; the address is there already.
        name: what to call it in messages.
        log: where its words go.

    Raises:
        BadInput: the port is taken.
        CrunchbedError: the address is not there.
    """

    def __init__(self, settings: TargetSettings, name: str, log: Path) -> None:
        self._settings = settings
        self._since_ns = time.monotonic_ns()
        self._is_set_up = False
        self.accepts = False
        target.require_free(settings.address, settings.port)
        self._process: Process = spawn(
            target.argv(settings), name=name, log=log, netns_pid=None, cgroup=None
        )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def ended(self) -> str | None:
        """How it ended by itself, in words; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        words = self._process.last_words() if code > 0 else ""
        return f"target ended ({code})" + (f": {words}" if words else "")

    def came_up(self) -> bool:
        """Whether it has just begun to take logins; True once.

        Raises:
            CrunchbedError: it has not for too long, or cannot be told what to serve.
        """
        if self.accepts or self.ended() is not None:
            return False
        self.accepts = self._takes_logins()
        if not self.accepts and time.monotonic_ns() - self._since_ns > _START_NS:
            raise CrunchbedError(f"{self._process.name} does not listen; see {self._process.log}")
        return self.accepts

    def _takes_logins(self) -> bool:
        if not self._is_set_up:
            if not target.answers(self._settings):
                return False
            try:
                target.set_up(self._settings)
            except CrunchbedError:
                if self.ended() is None:
                    raise
                return False  # it ended in the middle of that
            self._is_set_up = True
        return target.is_listening(self._settings.address, self._settings.port)

    def end(self) -> None:
        """Kill it and wait for that: what it has acknowledged is in the file behind it."""
        self._process.kill()
