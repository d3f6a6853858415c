"""Daemons of a node stand still: SIGSTOP, and SIGCONT when it is over."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import World, running
from crunchbed.scenario.faults import Stall
from nodes.process import Process, descendants


class StallFault:
    """See the module."""

    def __init__(self, fault: Stall, world: World) -> None:
        self._node = world.nodes[fault.target]
        self._names = fault.daemons
        self._stopped: list[Process] = []

    def begin(self) -> Mapping[str, Any]:
        """Stop them, and what they have started."""
        self._stopped = running(self._node, self._names)
        for process in self._stopped:
            _signal(process, signal.SIGSTOP)
        return {"daemons": list(self._names)}

    def undo(self) -> None:
        """Let those that are still there go on."""
        stopped, self._stopped = self._stopped, []
        for process in stopped:
            _signal(process, signal.SIGCONT)


def _signal(process: Process, number: signal.Signals) -> None:
    process.signal(number)
    # A child of a process of ours keeps its pid until that one has taken note of its end; a
    # stopped one takes no note, and the others' children end with them.
    for pid in descendants(process.pid) if process.poll() is None else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
