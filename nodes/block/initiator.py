"""``python -m nodes.block.initiator CONFIG.json``: a node's dirty pages and their writeback.

Normal tasks dirty pages in the node's pool; this daemon is the writeback task that turns them
into real block writes and, acknowledged, into free pages again. What the pool refuses, stalls.
"""

from __future__ import annotations

import selectors
import sys
import time
from pathlib import Path

from nodes.block.connect import connect, limit_ns
from nodes.block.link import Link
from nodes.block.pattern import BLOCK_BYTES, Stamp, request
from nodes.block.transport import Reports
from nodes.block.writeback import Dirtier, Request, Writeback
from nodes.daemon import Config, Stop, connect_events, run_daemon
from reserve_agent.lines import LineServer, Message
from reserve_agent.pool_handle import PoolHandle

TICK_SECONDS = 0.002
PROGRESS_SECONDS = 0.1
RETRY_NS = 200_000_000
GIVEN_UP = "no connection within the time-out"


class Initiator:
    """One node's writeback; see the module."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._events = connect_events(config)
        self._pool = PoolHandle.open(Path(config["pins"]))
        self._selector = selectors.DefaultSelector()
        self._server = LineServer(Path(config["control"]), self._selector, self._command)
        self._writeback = Writeback(
            config["first_block"],
            config["region_blocks"],
            config["queue_depth"],
            config["request_blocks"],
        )
        self._dirtier = Dirtier(config["dirty_rate"], time.monotonic_ns())
        reports = Reports(self._acknowledged, self._failed)
        self._link = Link(
            lambda: connect(config, self._selector, reports),
            limit_ns(config),
            self._selector,
            self,
        )
        self._retries: list[tuple[int, int]] = []
        self._progress_due = 0.0
        self._reported = 0

    def run(self, stop: Stop) -> None:
        """Write until told to stop.

        Raises:
            LoginRefused: The target does not want this initiator.
        """
        try:
            while not stop:
                self._pool_dirty()
                self._submit()
                self._link.serve(TICK_SECONDS)
                self._report_progress()
        finally:
            self._link.close()
            self._server.close()

    def link_up(self, first: bool) -> None:
        """Everything in flight is written again on the new connection."""
        if first:
            self._events.emit("daemon.ready", name="initiator")
        else:
            self._events.emit("io.reconnect", transport=self._config["transport"])
        self._retries.clear()
        for pending in list(self._writeback.in_flight.values()):
            self._write(pending)

    def link_down(self, reason: str) -> None:
        """What is in flight waits."""
        self._events.emit("io.disconnect", error=reason, transport=self._config["transport"])

    def link_given_up(self) -> None:
        """Every write in flight fails; its pages stay dirty and wait for the next connection."""
        for sequence in self._writeback.in_flight:
            self._error(sequence, GIVEN_UP)

    def _pool_dirty(self) -> None:
        due = self._dirtier.due(time.monotonic_ns())
        if due:
            self._pool.dirty(due)

    def _submit(self) -> None:
        while self._link.up and self._retries and self._retries[0][0] <= time.monotonic_ns():
            self._write(self._writeback.in_flight[self._retries.pop(0)[1]])
        # Without a connection too: what is submitted then waits for one, as in a block queue.
        while self._link.was_up:
            dirty = int(self._pool.state.dirty)
            pending = self._writeback.next(dirty, time.monotonic_ns())
            if pending is None:
                return
            if self._link.given_up:
                self._error(pending.sequence, GIVEN_UP)
            self._write(pending)

    def _write(self, pending: Request) -> None:
        """Hand it to the link; if that has just broken, it is written when there is a new one."""
        index, incarnation = self._config["index"], self._config["incarnation"]
        stamp = Stamp(index, incarnation, pending.sequence, pending.block)
        data = request(stamp, pending.blocks)
        self._link.write(pending.sequence, data, pending.block * BLOCK_BYTES)

    def _acknowledged(self, sequence: int) -> None:
        now = time.monotonic_ns()
        done = self._writeback.acknowledged(sequence)
        self._pool.clean(done.blocks)
        self._events.emit(
            "write.ack",
            t=now,
            seq=sequence,
            incarnation=self._config["incarnation"],
            block=done.block,
            blocks=done.blocks,
            submitted=done.submitted_ns,
            transport=self._config["transport"],
        )

    def _failed(self, sequence: int, error: str) -> None:
        """A page that could not be written stays dirty and is written again."""
        self._error(sequence, error)
        self._retries.append((time.monotonic_ns() + RETRY_NS, sequence))

    def _error(self, sequence: int, error: str) -> None:
        transport = self._config["transport"]
        self._events.emit("write.error", seq=sequence, error=error, transport=transport)

    def _report_progress(self) -> None:
        now = time.monotonic()
        if now < self._progress_due or self._dirtier.burst_pages == 0:
            return
        self._progress_due = now + PROGRESS_SECONDS
        waiting = int(self._pool.state.demand)
        dirtied = max(0, self._dirtier.burst_dirtied - waiting)
        if dirtied != self._reported:
            self._reported = dirtied
            self._events.emit(
                "dirty.progress",
                requested=self._dirtier.burst_pages,
                asked=self._dirtier.burst_dirtied,
                dirtied=dirtied,
            )

    def _command(self, message: Message) -> Message:
        """The run's words: begin a burst of dirtying, or give it up."""
        if message.get("op") == "burst":
            self._dirtier.burst(message["pages"], message["rate"], message["start_ns"])
        elif message.get("op") == "calm":
            self._dirtier.calm()
            self._pool.calm()
        else:
            return {"error": f"unknown operation {message.get('op')!r}"}
        return {"ok": True}


def _body(config: Config) -> None:
    Initiator(config).run(Stop())


if __name__ == "__main__":
    sys.exit(run_daemon("initiator", _body))
