"""The initiator of a simulated node: ``nodes.block.task`` with a connection and the node's pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from crunchbed.backends.common import settings
from crunchbed.backends.simulation.calm import MOST_IN_BYTES
from crunchbed.backends.simulation.daemon import Daemon, Home
from crunchbed.backends.simulation.disk import SimulatedTransport, Write
from nodes.block.pattern import BLOCK_BYTES, Stamp
from nodes.block.reconnect import Reconnecting
from nodes.block.task import WritebackTask
from nodes.block.transport import Reports
from nodes.block.writeback import Request, WritebackSettings

if TYPE_CHECKING:
    from selectors import SelectorKey

TICK_NS: Final = 2_000_000
"""How often an initiator looks what its tasks want (``nodes/block/initiator.py``) while they wait.
Without a burst it looks as often as the steady dirtying fills a request."""
_IDLE_NS: Final = 50_000_000
_SLOW_NS: Final = 1_000_000_000
"""Dirtying that takes longer to fill a request is slow: a look then finds nothing before that time;
and the nodes do not begin in step, or all would write at one moment."""


class _NoSockets:
    """What an initiator serves while it has no connection: nothing."""

    def select(self, _timeout: float, /) -> Sequence[tuple[SelectorKey, int]]:
        return ()


class InitiatorDaemon(Daemon):
    """Writeback: ``nodes.block.task`` with a connection and the node's pool."""

    def __init__(self, node: Home) -> None:
        super().__init__(node, "initiator")
        scenario = node.scenario
        self._index = scenario.index_of(node.name)
        self._port = scenario.block_io.port
        chosen = WritebackSettings(**settings.writeback(scenario, node.name, node.incarnation))
        self._incarnation = chosen.incarnation
        full_ns = 1_000_000_000 * chosen.request_blocks // max(1, round(chosen.dirty_rate))
        self._idle_ns = min(_IDLE_NS, max(TICK_NS, full_ns))
        now, ahead_ns = self._now, 0
        self._slow = full_ns > _SLOW_NS
        self._of_many = scenario.cluster.nodes > MOST_IN_BYTES
        if self._slow and chosen.dirty_rate:
            ahead_ns = full_ns * self._index // scenario.cluster.nodes
        self._wants = 0  # pages of bursts
        self.task = WritebackTask(chosen, node.memory, node.note, now() - ahead_ns)
        self._reports = Reports(
            lambda sequence: self.task.acknowledged(sequence, now()),
            lambda sequence, error: self.task.failed(sequence, error, now()),
        )
        self._timeout_ns = scenario.block_io.nbd.timeout
        self._connection: Reconnecting[Write] = Reconnecting(
            self._connect,
            scenario.block_io.nbd.dead_conn_timeout,
            _NoSockets(),
            self,
            now,
        )
        self.wake()

    def _connect(self) -> SimulatedTransport:
        node = self._node
        return SimulatedTransport(
            node.host, node.portal, self._port, self._timeout_ns, self._reports, self.wake
        )

    def _turn(self) -> None:
        now = self._now()
        self.task.dirty(now)
        while (request := self.task.next(now)) is not None:
            self._write(request)
        self._connection.serve(0.0)
        while (request := self.task.next(now)) is not None:
            self._write(request)
        self.task.report_progress(now)
        later, due = self._later(now), self.task.due_ns
        if due is not None and due > now:
            later = due if later is None else min(later, due)
        if later is not None:
            self._next(later)

    def _later(self, now: int) -> int | None:
        """Return when to look again; None: what comes wakes the initiator."""
        if self._wants:
            return now + TICK_NS
        if not self._connection.up:
            return now + (_IDLE_NS if self._of_many else TICK_NS)
        if self._slow and not self.task.in_flight:
            full_ns = self.task.full_ns()
            return None if full_ns is None else now + max(_IDLE_NS, full_ns)
        return now + self._idle_ns

    def _write(self, request: Request) -> None:
        stamp = Stamp(self._index, self._incarnation, request.sequence, request.block)
        write = Write(request.sequence, stamp, request.blocks)
        self._connection.write(request.sequence, write, request.block * BLOCK_BYTES)

    def burst(self, pages: int, rate: int, start_ns: int) -> None:
        """Have the tasks ask for ``pages`` more."""
        self._wants += pages
        self.task.burst(pages, rate, start_ns)
        self.wake()

    def calm(self) -> None:
        """Have the tasks give up what they wait for."""
        self._wants = 0
        self.task.calm()

    def connected(self, *, first: bool) -> None:
        """See ``ConnectionListener``."""
        for request in self.task.connected(self._now(), first=first):
            self._write(request)

    def disconnected(self, reason: str) -> None:
        """See ``ConnectionListener``."""
        self.task.disconnected(reason, self._now())

    def given_up(self) -> None:
        """See ``ConnectionListener``."""
        self.task.given_up(self._now())

    def end(self) -> None:
        """End, and hang up."""
        super().end()
        self._connection.close()
