"""The heartbeat daemon: sockets, a clock and a way to report, around ``HeartbeatProtocol``."""

from __future__ import annotations

import ctypes
import os
import random
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nodes.fencing import FenceClient
from nodes.heartbeat.config import HeartbeatConfig, load_config
from nodes.heartbeat.link import HeartbeatLink
from nodes.listeners import ViewForwarder
from nodes.membership.actions import FenceRequest, ViewInstalled
from nodes.membership.datagram import TAG_BYTES, Kind, MalformedHeartbeat, tag_of
from nodes.membership.detector import Clear, Miss, Suspect, Warn
from nodes.membership.detectors.make import make_detector
from nodes.membership.detectors.settings import LifeguardSettings, SwimSettings
from nodes.membership.membership import Membership
from nodes.membership.protocol import Effect, HeartbeatProtocol
from nodes.membership.rings import RingDown, Rings, RingUp
from nodes.membership.roster import Roster
from nodes.membership.views import Member, View
from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.events import Events, EventSink

_REPORT_NS = 1_000_000_000
_MCL_CURRENT_AND_FUTURE = 1 | 2
_PING = bytes([Kind.PING])


class HeartbeatDaemon:
    """One node's daemon; ``run`` returns after SIGTERM.

    Sequence numbers count intervals, sent or not: a heartbeat that was due while the daemon was
    held up leaves a gap, and the observer's miss names a number that nobody sent.
    """

    def __init__(self, config: HeartbeatConfig, events: Events, rings: Rings) -> None:
        self._config = config
        self._events = events
        self._rings = rings
        self._fence = FenceClient(Path(config.fence), config.node)
        now_ns = time.monotonic_ns()
        self._protocol = _protocol(config, now_ns)
        self._next_send_ns = _next_slot(now_ns, config.phase_ns, config.interval_ns)
        self._next_report_ns = now_ns + _REPORT_NS
        self._seq = 1
        self._received: Counter[str] = Counter()
        self._malformed = 0
        self._late = 0
        self._stopping = False

    def run(self) -> None:
        """Send, receive and judge until SIGTERM."""
        wake_up, wake_end = socket.socketpair()
        wake_up.setblocking(False)
        wake_end.setblocking(False)
        signal.set_wakeup_fd(wake_end.fileno())
        signal.signal(signal.SIGTERM, self._stop)
        view = self._protocol.membership.view
        if view.number:
            self._report_view(view, removed=(), added=view.names)
        self._events.emit("daemon.ready", name="heartbeat")
        while not self._stopping:
            waiting: list[HeartbeatLink | FenceClient | socket.socket] = [
                *self._rings.links,
                wake_up,
            ]
            if self._fence.fileno() >= 0:
                waiting.append(self._fence)
            planned_ns = self._planned_ns()
            timeout = max(0, planned_ns - time.monotonic_ns()) / 1e9
            ready, _, _ = select.select(waiting, [], [], timeout)
            now_ns = time.monotonic_ns()
            if now_ns - planned_ns > self._config.lateness_ns:
                self._late += 1
                self._events.emit("heartbeat.late", t=now_ns, late_ns=now_ns - planned_ns)
            self._turn(now_ns, fence_answered=self._fence in ready)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _planned_ns(self) -> int:
        deadline_ns = self._protocol.next_deadline_ns()
        timers = min(self._next_send_ns, self._next_report_ns)
        # A deadline has passed once the clock is beyond it.
        return timers if deadline_ns is None else min(timers, deadline_ns + 1)

    def _turn(self, now_ns: int, *, fence_answered: bool) -> None:
        # Read before judging: what had arrived by now_ns is in the socket.
        self._receive(now_ns)
        if fence_answered:
            for answer in self._fence.answers():
                self._carry_out(self._protocol.fence_answer(*answer[:3], now_ns))
        deadline_ns = self._protocol.next_deadline_ns()
        due_to_send = now_ns >= self._next_send_ns
        if due_to_send or (deadline_ns is not None and deadline_ns < now_ns):
            self._carry_out(self._protocol.advance(now_ns))
        if due_to_send:
            self._beat(now_ns)
        self._send()
        if now_ns >= self._next_report_ns:
            self._report_received(now_ns)

    def _receive(self, now_ns: int) -> None:
        waited_ns = 0
        for arrival in self._rings.drain():
            sender = arrival.name
            if arrival.payload[:1] == _PING:
                waited_ns = max(waited_ns, now_ns - arrival.at_ns)
            try:
                effects = self._protocol.received(sender, arrival.payload, arrival.at_ns)
            except MalformedHeartbeat:
                self._malformed += 1
                continue
            self._received[sender] += 1
            if effects:
                self._carry_out(effects)
        self._report_rings()
        if waited_ns > self._config.lateness_ns:  # whoever sent that ping waits for its answer
            self._late += 1
            self._events.emit("heartbeat.late", t=now_ns, late_ns=waited_ns)

    def _report_rings(self) -> None:
        for change in self._rings.changes():
            match change:
                case RingDown(ring, peer, since_ns):
                    self._events.emit("ring.down", ring=ring, peer=peer, since=since_ns)
                case RingUp(ring, peer, at_ns):
                    self._events.emit("ring.up", t=at_ns, ring=ring, peer=peer)

    def _beat(self, now_ns: int) -> None:
        config = self._config
        missed_slots = (now_ns - self._next_send_ns) // config.interval_ns
        self._seq += missed_slots
        self._protocol.beat(self._seq, now_ns)
        self._seq += 1
        self._next_send_ns += (missed_slots + 1) * config.interval_ns

    def _send(self) -> None:
        now_ns = time.monotonic_ns()
        for datagram in self._protocol.outgoing(now_ns):
            sent, failed = self._rings.send(datagram.payload, datagram.to)
            more: dict[str, Any] = {"failed": failed} if failed else {}
            if datagram.kind is not Kind.HEARTBEAT:
                more["what"] = datagram.kind.name.lower()
            tag = datagram.payload[:TAG_BYTES].hex()
            self._events.emit(
                "heartbeat.sent", t=now_ns, seq=datagram.seq, peers=sent, tag=tag, **more
            )

    def _report_received(self, now_ns: int) -> None:
        self._events.emit(
            "heartbeat.received",
            t=now_ns,
            counts=dict(self._received),
            malformed=self._malformed,
            late=self._late,
        )
        self._received.clear()
        self._malformed = self._late = 0
        self._next_report_ns = now_ns + _REPORT_NS

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Miss():
                    self._report_miss(effect)
                case Suspect(peer, misses, _):
                    self._events.emit("membership.suspect", peer=peer, misses=misses)
                case Warn(peer, silent_ns, _):
                    self._events.emit("heartbeat.warn", peer=peer, silent_ns=silent_ns)
                case Clear(peer, _):
                    self._events.emit("membership.clear", peer=peer)
                case ViewInstalled(view, removed, added):
                    self._report_view(view, removed, added)
                case FenceRequest(target, view_number):
                    self._events.emit("membership.fence_request", target=target, view=view_number)
                    self._fence.request(target, view_number)

    def _report_miss(self, miss: Miss) -> None:
        peer, seq, tag = miss.peer, miss.expected_seq, None
        incarnation = self._protocol.membership.view.incarnations.get(peer)
        more: dict[str, Any] = {}
        if seq and incarnation is not None:
            kind = Kind.ACK if miss.probed else Kind.HEARTBEAT
            tag = tag_of(self._config.peers[peer].index, incarnation, seq, kind)
        if miss.probed:
            me = self._protocol.membership.me
            more["probe"] = tag_of(self._config.index, me.incarnation, seq, Kind.PING)
        self._events.emit(
            "heartbeat.miss", peer=peer, seq=seq, deadline=miss.deadline_ns, tag=tag, **more
        )

    def _report_view(self, view: View, removed: Iterable[str], added: Iterable[str]) -> None:
        self._events.emit(
            "membership.view",
            number=view.number,
            members=list(view.names),
            removed=list(removed),
            added=list(added),
            quorate=True,
        )


def _protocol(config: HeartbeatConfig, now_ns: int) -> HeartbeatProtocol:
    roster = Roster(config.indexes)
    probing = isinstance(config.detector, SwimSettings | LifeguardSettings)
    ttl_ns = config.misses * config.interval_ns
    membership = Membership(
        Member(config.node, config.incarnation),
        roster.order,
        joining=config.joining,
        fence_timeout_ns=config.fence_timeout_ns,
        joiner_ttl_ns=ttl_ns,
        # Who probes says nothing for long; who suspects repeats it in every interval.
        vote_ttl_ns=max(ttl_ns, 2 * config.interval_ns) if probing else None,
    )
    detector = make_detector(
        config.detector,
        config.node,
        interval_ns=config.interval_ns,
        misses=config.misses,
        grace_ns=config.grace_ns,
        chance=random.Random(f"{config.node} {config.incarnation}"),  # noqa: S311
    )
    return HeartbeatProtocol(roster, membership, detector, now_ns)


def _links(config: HeartbeatConfig) -> list[HeartbeatLink]:
    """A socket on each ring.

    Raises:
        HookError: the reserve was refused.
        OSError: an address is not this node's.
    """
    return [
        HeartbeatLink(
            own,
            config.port,
            {name: peer.addresses[ring] for name, peer in config.peers.items()},
            memalloc=config.memalloc,
        )
        for ring, own in enumerate(config.addresses)
    ]


def _next_slot(now_ns: int, phase_ns: int, interval_ns: int) -> int:
    # Counted from the clock's zero, so that the phases of nodes on one machine stay apart.
    return now_ns + interval_ns - (now_ns - phase_ns) % interval_ns


def _lock_memory() -> None:
    """Keep the daemon's pages in memory; a page fault must not delay a heartbeat."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT_AND_FUTURE) != 0:
        print(  # noqa: T201
            f"heartbeat: memory not locked: {os.strerror(ctypes.get_errno())}", file=sys.stderr
        )


def main(arguments: list[str]) -> int:
    """Run the daemon; returns its exit code."""
    try:
        if len(arguments) != 1:
            raise BadInput("usage: python -m nodes.heartbeat CONFIG.json")
        config = load_config(Path(arguments[0]))
        rings = Rings(_links(config), config.misses)
        events = ViewForwarder(EventSink(Path(config.events)), map(Path, config.listeners))
        daemon = HeartbeatDaemon(config, events, rings)
    except (CrunchbedError, OSError) as error:
        print(f"heartbeat: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code if isinstance(error, BadInput) else 1
    _lock_memory()
    daemon.run()
    return 0
