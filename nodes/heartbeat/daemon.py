"""The heartbeat daemon: a clock, sockets and a way to report, around ``HeartbeatNode``."""

from __future__ import annotations

import ctypes
import os
import select
import sys
import time

from nodes.daemon import Stop, connect_events
from nodes.fencing import FenceClient
from nodes.heartbeat.config import HeartbeatConfig
from nodes.heartbeat.sockets import RingSocket, RingSockets
from nodes.listeners import ViewForwarder
from nodes.membership.turn import HeartbeatNode, sent
from reserve_agent.events import Events

_MCL_CURRENT_AND_FUTURE = 1 | 2


class HeartbeatDaemon:
    """One node's daemon; ``run`` returns after SIGTERM."""

    def __init__(self, config: HeartbeatConfig, events: Events, sockets: RingSockets) -> None:
        self._events = events
        self._sockets = sockets
        self._fence = FenceClient(config.fence, config.node)
        self._node = HeartbeatNode(config, time.monotonic_ns())

    def run(self, stop: Stop) -> None:
        """Send, receive and judge until told to stop."""
        for event in self._node.started(time.monotonic_ns()):
            self._events.emit(event)
        while not stop:
            waiting: list[RingSocket | FenceClient | Stop] = [*self._sockets.sockets, stop]
            if self._fence.fileno() >= 0:
                waiting.append(self._fence)
            timeout_ns = max(0, self._node.next_turn_ns() - time.monotonic_ns())
            ready, _, _ = select.select(waiting, [], [], timeout_ns / 1e9)
            self._turn(fence_answered=self._fence in ready)

    def _turn(self, *, fence_answered: bool) -> None:
        # The time is read first: what had arrived by then is in the sockets.
        now_ns = time.monotonic_ns()
        answers = self._fence.answers() if fence_answered else ()
        turn = self._node.turn(now_ns, self._sockets.drain(), answers)
        for event in turn.events:
            self._events.emit(event)
        for request in turn.fences:
            self._fence.request(request.target, request.view)
        for datagram in turn.datagrams:
            at_ns = time.monotonic_ns()
            reached, failed = self._sockets.send(datagram.payload, datagram.to)
            self._events.emit(sent(datagram, at_ns, reached, failed))


def _sockets(config: HeartbeatConfig) -> RingSockets:
    """Open a socket on each ring; see ``RingSocket`` for errors."""
    return RingSockets(
        [
            RingSocket(
                own,
                config.port,
                {name: peer.addresses[ring] for name, peer in config.peers.items()},
                memalloc=config.memalloc,
                ring=ring,
            )
            for ring, own in enumerate(config.addresses)
        ]
    )


def _lock_memory() -> None:
    """Keep the daemon's pages in memory; a page fault must not delay a heartbeat."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT_AND_FUTURE) != 0:
        words = os.strerror(ctypes.get_errno())
        sys.stderr.write(f"heartbeat: memory not locked: {words}\n")


def body(config: HeartbeatConfig, stop: Stop) -> None:
    """Run the daemon until SIGTERM."""
    sockets = _sockets(config)
    events = ViewForwarder(connect_events(config.events, "heartbeat"), config.listeners)
    daemon = HeartbeatDaemon(config, events, sockets)
    _lock_memory()
    daemon.run(stop)
