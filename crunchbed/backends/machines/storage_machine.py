"""The storage host of a cluster whose disk is reached by NVMe/TCP: a guest's kernel serves it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

from crunchbed.backends.common.live_run import LiveRun, ended_by_itself
from crunchbed.backends.common.storage import StorageHost
from crunchbed.backends.machines.qemu import Machine, argv
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.world import STORAGE
from nodes.process import Process
from nodes.waiting import wait_until
from topologies.node import ClusterNode

_BOOT_SECONDS: Final = 60.0
_SERVING: Final = b"crunchbed: serving"
"""What ``nodes/guest/storage-init`` says on its console."""


class StorageMachine(StorageHost):
    """A storage host whose target is a machine; traffic and floods come from the host itself.

    Args:
        machine: What QEMU is told.
        run: See ``StorageHost``, as for all that follow.
        hosts: Every host of the network by name.
        loop: The run's.
        watched: The processes that must live as long as the run.
        undo: Takes what is to be undone at the end of the cluster.
    """

    def __init__(
        self,
        machine: Machine,
        run: LiveRun,
        hosts: Mapping[str, ClusterNode],
        loop: SelectorLoop,
        watched: list[Process],
        undo: ExitStack,
    ) -> None:
        super().__init__(run, hosts, (), loop, watched, undo)
        self._machine = machine

    def _serve(self, write_delay_ns: int) -> None:  # noqa: ARG002 - slow-disk wants nbdkit
        """Boot the guest, and return when its kernel serves; or when a fault has killed it."""
        console = self._machine.console
        old = console.stat().st_size if console.exists() else 0
        process = self._target = self._helper("target", argv(self._machine))

        def serves() -> bool:
            if self._target is not process:
                return True
            if process.poll() is not None:
                raise ended_by_itself(process)
            return _SERVING in console.read_bytes()[old:]

        what = f"the guest of {STORAGE} serves; {console}"
        wait_until(serves, _BOOT_SECONDS, what, pump=self._pump)
