"""A node's dirty pages and their writeback.

Normal tasks dirty pages in the node's pool; this daemon is the writeback task that turns them into
real block writes. Acknowledged writes become free pages; what the pool refuses, stalls.
"""

from __future__ import annotations

import selectors
import time

from nodes.block.config import InitiatorConfig
from nodes.block.pattern import BLOCK_BYTES, Stamp, request_bytes
from nodes.block.reconnect import Reconnecting
from nodes.block.task import WritebackTask
from nodes.block.transport import Endpoint, Reports, Transport
from nodes.block.writeback import Request
from nodes.daemon import Stop, connect_events
from reserve_agent.lines.framing import Message
from reserve_agent.lines.server import LineServer
from reserve_agent.pool_handle import PoolHandle

TICK_SECONDS = 0.002


class Initiator:
    """One node's initiator: a clock, a connection and a pool around its ``WritebackTask``."""

    def __init__(self, config: InitiatorConfig) -> None:
        self._config = config
        events = connect_events(config.events, "initiator")
        pages = PoolHandle.open(config.pins)
        self._selector = selectors.DefaultSelector()
        self._server = LineServer(config.control, self._selector, self._command)
        self.task = WritebackTask(config, pages, events.emit, time.monotonic_ns())
        self._reports = Reports(
            lambda sequence: self.task.acknowledged(sequence, time.monotonic_ns()),
            lambda sequence, error: self.task.failed(sequence, error, time.monotonic_ns()),
        )
        iscsi = config.transport == "iscsi"
        limit_ns = config.iscsi.replacement_timeout if iscsi else config.nbd.dead_conn_timeout
        self._connection = Reconnecting(self._connect, limit_ns, self._selector, self)

    def _connect(self) -> Transport:
        config, selector, reports = self._config, self._selector, self._reports
        send_buffer = config.queue_depth * config.request_blocks * BLOCK_BYTES
        endpoint = Endpoint(config.address, config.port, send_buffer)
        # Each has a library behind it, of which a daemon needs one.
        if config.transport == "iscsi":
            from nodes.block.iscsi_transport import IscsiTransport

            name, index = config.node, config.index
            return IscsiTransport(endpoint, name, index, config.iscsi, selector, reports)
        from nodes.block.nbd_transport import NbdTransport

        return NbdTransport(endpoint, config.nbd.timeout, selector, reports)

    def run(self, stop: Stop) -> None:
        """Write until told to stop; raises LoginRefused where the target refuses this initiator."""
        try:
            while not stop:
                self.task.dirty(time.monotonic_ns())
                while (request := self.task.next(time.monotonic_ns())) is not None:
                    self._write(request)
                self._connection.serve(TICK_SECONDS)
                self.task.report_progress(time.monotonic_ns())
        finally:
            self._connection.close()
            self._server.close()

    def _write(self, request: Request) -> None:
        """Hand it to the connection; if that breaks, the request is written on the next one."""
        config = self._config
        stamp = Stamp(config.index, config.incarnation, request.sequence, request.block)
        data = request_bytes(stamp, request.blocks)
        self._connection.write(request.sequence, data, request.block * BLOCK_BYTES)

    def connected(self, *, first: bool) -> None:
        """See ``ConnectionListener``."""
        for request in self.task.connected(time.monotonic_ns(), first=first):
            self._write(request)

    def disconnected(self, reason: str) -> None:
        """See ``ConnectionListener``."""
        self.task.disconnected(reason, time.monotonic_ns())

    def given_up(self) -> None:
        """See ``ConnectionListener``."""
        self.task.given_up(time.monotonic_ns())

    def _command(self, message: Message) -> Message:
        """Carry out a command of the run: begin a burst of dirtying, or give it up."""
        if message.get("op") == "burst":
            self.task.burst(message["pages"], message["rate"], message["start_ns"])
        elif message.get("op") == "calm":
            self.task.calm()
        else:
            return {"error": f"unknown operation {message.get('op')!r}"}
        return {"ok": True}


def body(config: InitiatorConfig, stop: Stop) -> None:
    """Run the initiator until SIGTERM."""
    Initiator(config).run(stop)
