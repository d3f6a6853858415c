"""The target of this node, as a process that the service starts, watches and ends."""

from __future__ import annotations

from pathlib import Path

from nodes.block import target
from nodes.block.target import TargetSettings
from nodes.process import spawn
from reserve_agent.errors import CrunchbedError


class ServedTarget:
    """One target process, from its start to its end; see ``serving.Target``.

    Nothing here waits for long: the daemon must hear of the membership meanwhile. The address is
    there already.

    Raises:
        BadInput: The port is taken.
        CrunchbedError: The address is not there.
    """

    def __init__(self, settings: TargetSettings, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._settings = settings
        self._is_set_up = False
        target.require_free(settings.address, settings.port)
        self._process = spawn(
            target.argv(settings), name=name, log=log, netns_pid=None, cgroup=None
        )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def ended(self) -> str | None:
        """See ``serving.Target``."""
        code = self._process.poll()
        if code is None:
            return None
        words = self._process.last_words() if code > 0 else ""
        return f"target ended ({code})" + (f": {words}" if words else "")

    def takes_logins(self) -> bool:
        """See ``serving.Target``."""
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
        """See ``serving.Target``."""
        self._process.kill()
