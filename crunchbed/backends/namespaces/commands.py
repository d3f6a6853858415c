"""Commands of other terminals, on a socket in the run's state directory."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from crunchbed.backends.namespaces.storage import StorageHost
from crunchbed.live.runs import RUN_SOCKET
from crunchbed.run.world import Command
from reserve_agent.lines import LineServer


class Commands:
    """Implements ``crunchbed.run.world.TakesCommands``; only root may connect.

    Args:
        state: The run's state directory.
        storage: The storage host.
        selector: Of the run's loop.
        undo: Takes what is to be undone at the end of the cluster.
    """

    def __init__(
        self, state: Path, storage: StorageHost, selector: selectors.BaseSelector, undo: ExitStack
    ) -> None:
        self._state = state
        self._storage = storage
        self._selector = selector
        self._undo = undo

    def serve(self, handle: Callable[[Command], Command]) -> None:
        """Answer commands from now on; who asks for the state is answered to the end."""
        server = LineServer(self._state / RUN_SOCKET, self._selector, handle)
        self._undo.callback(server.close)

    def storage_place(self) -> Mapping[str, Any]:
        """Return what a shell needs to enter the storage host."""
        return {"pid": self._storage.host.pid, "cgroup": str(self._storage.cgroup.path)}
