"""What stands beside a node that is a machine: its instruments, its power's memory, its membership.

To a machine an attendant is what agent, heartbeat daemon and initiator are to a namespace. It runs
on the host, and so outlives the guest's reboots; it owns the node's part of the history.

This is the shell: it reads clocks and sockets, and maps the memory that it shares with the guest.
"""

from __future__ import annotations

import gc
import mmap
import os
import selectors
import time
from pathlib import Path
from typing import Final

from nodes.daemon import Stop
from nodes.fencing import FenceClient
from nodes.guest.config import AttendantConfig
from nodes.guest.layout import SHARED_BYTES
from nodes.guest.life import Boot, GuestLife
from nodes.guest.lost import LostPackets, rules_of
from nodes.guest.operations import Operations
from nodes.guest.pressure import GuestPool
from nodes.guest.ring import SharedMemory
from reserve_agent import wakeups
from reserve_agent.contract.events.pressure import AgentLate
from reserve_agent.exporter import Exporter
from reserve_agent.lines.server import LineServer
from reserve_agent.record import NodeHistory

_SAMPLE_NS: Final = 50_000_000


class Attendant:
    """One node's attendant; ``run`` returns after SIGTERM.

    Attributes:
        policy: The policy that the node follows, also in its next life.
        metrics_port: Where the node's metrics are served.
        life: The guest that has power; None: it has none.
    """

    def __init__(self, config: AttendantConfig) -> None:
        self.policy = config.policy
        self.metrics_port = 0
        self.life: GuestLife | None = None
        self._config = config
        self._pool = GuestPool()
        self._memory = SharedMemory(shared_memory(config.memory))
        self._exporter = Exporter(
            config.node,
            config.run,
            config.scenario,
            dict,  # no hook counts packets
            lambda name: int(getattr(self.pool, name)),
        )
        self._history = NodeHistory(config.history, config.node, self._exporter.observe)
        self._fence = FenceClient(config.fence, config.node)
        self._operations = Operations(self, self._history)
        self._sample_ns = 0
        self._selector = selectors.DefaultSelector()
        config.socket.unlink(missing_ok=True)
        self._lost = None if config.lost is None else LostPackets(config.lost, rules_of(config))
        if self._lost is not None:
            self._selector.register(self._lost, selectors.EVENT_READ, self._note_lost)
        self._server = LineServer(config.socket, self._selector, self._operations.answer)

    def run(self, stop: Stop) -> None:
        """Serve until told to stop, and close the node's part of the history."""
        self.metrics_port = self._exporter.serve()
        self._selector.register(stop, selectors.EVENT_READ, lambda: None)
        gc.freeze()
        try:
            while not stop:
                self.turn()
            self.end()
            self._history.finish()
        finally:
            self.close()

    def close(self) -> None:
        """Close everything; a history that was not finished says so by its missing end."""
        self._server.close()
        self._history.close()
        self._fence.close()
        self._selector.close()
        if self._lost is not None:
            self._lost.close()

    def turn(self) -> None:
        """Wait until it is time to look at the shared memory, or a question comes; then do so."""
        for key in wakeups.wait(self._selector, self._config.poll / 1e9, self._note_late):
            key.data()
        if self.life is not None:
            self.life.step()
        if time.monotonic_ns() >= self._sample_ns:
            self.sample()
        self._history.flush()

    def _note_late(self, late_ns: int) -> None:
        self._history.record(AgentLate(late_ns=late_ns))

    def _note_lost(self) -> None:
        if self._lost is not None:
            for event in self._lost.read():
                self._history.record(event)

    # --- see ``operations.Machine``

    @property
    def pool(self) -> GuestPool:
        """The guest's memory, or what it was when the power was lost until more is known."""
        pool = self._pool if self.life is None else self.life.memory.pool
        return pool if pool.total else self._pool

    def boot(self, incarnation: int) -> None:
        """Clear the shared memory, and begin another life."""
        boot = Boot(incarnation, self.policy, self.metrics_port)
        self.life = GuestLife(
            self._config, boot, self._memory, self._fence, self._history.record, time.monotonic_ns
        )

    def end(self) -> None:
        """End the life, if there is one."""
        if self.life is not None:
            self.life.close()
            self._pool, self.life = self.pool, None
            self._fence.close()

    def sample(self, *, at_once: bool = False) -> None:
        """Record a sample of the pool, once it is known how large it is."""
        now_ns = time.monotonic_ns()
        self._sample_ns = now_ns + _SAMPLE_NS
        if self.life is not None:
            self.life.sample(now_ns, at_once=at_once)
        if self.pool.total:
            self._history.record(self.pool.sampled(now_ns))


def shared_memory(path: Path) -> memoryview:
    """Make the file that guest and host share, and map it.

    Raises:
        OSError: That cannot be done.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, SHARED_BYTES)
        return memoryview(mmap.mmap(descriptor, SHARED_BYTES))
    finally:
        os.close(descriptor)


def body(config: AttendantConfig, stop: Stop) -> None:
    """Run the attendant until SIGTERM."""
    Attendant(config).run(stop)
