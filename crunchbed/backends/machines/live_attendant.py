"""A machine's attendant as the run sees it: a process that is asked what an agent is asked."""

from __future__ import annotations

from typing import Final

from crunchbed.backends.namespaces.live_agent import LiveAgent
from crunchbed.backends.namespaces.live_run import LiveRun, argv
from nodes.process import Process

_MODULE: Final = "nodes.guest"


class LiveAttendant(LiveAgent):
    """The attendant of one machine. It sends the heartbeats, and so has a heartbeat's priority.

    Args:
        node: Whose attendant.
        run: The run.
    """

    def __init__(self, node: str, run: LiveRun) -> None:
        super().__init__(node, run)
        self._name = f"{node} attendant"

    def _spawn(self) -> Process:
        command = argv(_MODULE, self._config)
        self.process = self._run.spawn(self._name, command, cgroup=self._cgroup, realtime=True)
        return self.process
