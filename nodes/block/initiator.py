"""``python -m nodes.block.initiator CONFIG.json``: a node's dirty pages and their writeback.

Normal tasks dirty pages in the node's pool; this daemon is the writeback task that turns them
into real block writes and, acknowledged, into free pages again. What the pool refuses, stalls.
"""

from __future__ import annotations

import selectors
import sys
import time
from pathlib import Path

from nodes.block.nbd_transport import NbdTransport
from nodes.block.pattern import BLOCK_BYTES, Stamp, request
from nodes.block.writeback import Dirtier, Writeback
from nodes.daemon import Config, Stop, connect_events, run_daemon
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines import LineServer, Message
from reserve_agent.pool import PoolHandle

TICK_SECONDS = 0.002
PROGRESS_SECONDS = 0.1
RECONNECT_SECONDS = 0.2
RETRY_NS = 200_000_000


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
        self._transport: NbdTransport | None = None
        self._retries: list[tuple[int, int]] = []
        self._progress_due = 0.0
        self._reported = 0

    def run(self, stop: Stop) -> None:
        """Write until told to stop."""
        self._connect_first(stop)
        self._events.emit("daemon.ready", name="initiator")
        while not stop:
            self._pool_dirty()
            try:
                self._submit()
                self._transport_serve()
            except CrunchbedError as error:
                self._reconnect(str(error))
            self._report_progress()
        self._server.close()

    def _connect_first(self, stop: Stop) -> None:
        """Connect; a patient one waits until its target is in reach."""
        while not stop:
            try:
                self._connect()
                return
            except CrunchbedError:
                if not self._config.get("patient"):
                    raise
            for key, _ in self._selector.select(RECONNECT_SECONDS):
                key.data()

    def _connect(self) -> None:
        config = self._config
        self._transport = NbdTransport(
            config["address"],
            config["port"],
            self._selector,
            self._acknowledged,
            self._failed,
            send_buffer=config["queue_depth"] * config["request_blocks"] * BLOCK_BYTES,
        )

    def _reconnect(self, why: str) -> None:
        """The connection is gone; everything in flight is written again on a new one."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
            self._events.emit("io.disconnect", error=why)
        for key, _ in self._selector.select(RECONNECT_SECONDS):
            key.data()
        try:
            self._connect()
        except CrunchbedError:
            return
        self._events.emit("io.reconnect")
        self._retries.clear()
        for pending in list(self._writeback.in_flight.values()):
            self._write(pending.sequence, pending.block, pending.blocks)

    def _pool_dirty(self) -> None:
        due = self._dirtier.due(time.monotonic_ns())
        if due:
            self._pool.dirty(due)

    def _submit(self) -> None:
        while self._retries and self._retries[0][0] <= time.monotonic_ns():
            failed = self._writeback.in_flight[self._retries.pop(0)[1]]
            self._write(failed.sequence, failed.block, failed.blocks)
        while self._transport is not None:
            dirty = int(self._pool.state.dirty)
            pending = self._writeback.next(dirty, time.monotonic_ns())
            if pending is None:
                return
            self._write(pending.sequence, pending.block, pending.blocks)

    def _write(self, sequence: int, block: int, blocks: int) -> None:
        if self._transport is None:
            return
        stamp = Stamp(self._config["index"], self._config["incarnation"], sequence, block)
        self._transport.write(sequence, request(stamp, blocks), block * BLOCK_BYTES)

    def _transport_serve(self) -> None:
        if self._transport is None:
            raise CrunchbedError("not connected")
        self._transport.serve(TICK_SECONDS)

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
            transport="nbd",
        )

    def _failed(self, sequence: int, error: str) -> None:
        """A page that could not be written stays dirty and is written again."""
        self._events.emit("write.error", seq=sequence, error=error, transport="nbd")
        self._retries.append((time.monotonic_ns() + RETRY_NS, sequence))

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
