"""One node's corosync and its watcher: what corosync says becomes the node's events."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from nodes.corosync.conf import corosync_conf
from nodes.corosync.config import CorosyncConfig, load_config
from nodes.corosync.links import KnetLinks
from nodes.corosync.notices import LinkDown, LinkUp, NotScheduled, TokenOverdue, read_notice
from nodes.corosync.private import make_private
from nodes.corosync.quorum import QuorumConnection
from nodes.corosync.stats import KnetStats
from nodes.corosync.watch import ClusterWatch, Effect, FenceWanted, Suspected, ViewSeen
from nodes.fencing import FenceClient
from nodes.listeners import ViewForwarder
from nodes.process import entering
from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.events import Events, EventSink

CONF = Path("/etc/corosync/corosync.conf")
# Its pid file; its shared memory with its clients; the last ring it knew; its configuration.
PRIVATE = tuple(map(Path, ("/run", "/dev/shm", "/var/lib/corosync", "/etc/corosync")))  # noqa: S108
_TICK_SECONDS = 0.05
_START_SECONDS = 30.0
_END_SECONDS = 1.0
_REPORT_SECONDS = 1.0
_SBIN = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))


def keep_realtime() -> None:
    """Have children start as normal tasks; what is real time for corosync its file says."""
    policy = os.sched_getscheduler(0)
    if policy == os.SCHED_RR:
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, os.sched_getparam(0))


def start_corosync(config: CorosyncConfig) -> subprocess.Popen[bytes]:
    """Start it as a child that the kernel kills with this process; its log is the pipe.

    It stays in this process's group, so that one signal to the group stops or continues both.
    """
    text = corosync_conf(config)
    CONF.write_text(text)
    sys.stdout.write(text)
    sys.stdout.flush()
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), _SBIN))
    return subprocess.Popen(
        entering(["corosync", "-f", "-c", str(CONF)]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": path},
    )


class CorosyncDaemon:
    """Watches one corosync; ``run`` returns after SIGTERM, with corosync killed.

    Killed, not asked to leave: a node that ends takes part in no more views, and nor do its
    peers, which end at the same time.
    """

    def __init__(
        self, config: CorosyncConfig, events: ViewForwarder, corosync: subprocess.Popen[bytes]
    ) -> None:
        self._events: Events = events
        self._forward = events.push  # corosync may have nothing to tell for long
        self._corosync = corosync
        self._token_ms = config.totem.token
        self._fence = FenceClient(Path(config.fence), config.node)
        self._watch = ClusterWatch(config.node, config.ids, config.fence_timeout_ns)
        self._quorum = QuorumConnection(self._on_ring, self._on_quorum)
        peers = {name: number for name, number in config.ids.items() if name != config.node}
        self._stats = KnetStats(peers, config.rings)
        self._links = KnetLinks(config.rings)
        self._several_rings = config.rings > 1
        self._next_report = time.monotonic() + _REPORT_SECONDS
        self._connect_until = time.monotonic() + _START_SECONDS
        self._partial = b""
        self._last_line = ""
        self._stopping = False

    def run(self) -> None:
        """Watch until SIGTERM.

        Raises:
            CrunchbedError: corosync ended by itself, or never came up.
        """
        signal.signal(signal.SIGTERM, self._stop)
        try:
            with selectors.DefaultSelector() as selector:
                self._loop(selector)
        finally:
            self._corosync.kill()
            self._corosync.wait()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _loop(self, selector: selectors.BaseSelector) -> None:
        wake_up, wake_end = socket.socketpair()
        for end in (wake_up, wake_end):
            end.setblocking(False)
        signal.set_wakeup_fd(wake_end.fileno())
        selector.register(wake_up, selectors.EVENT_READ, lambda: None)
        if (log := self._corosync.stdout) is not None:
            os.set_blocking(log.fileno(), False)
            selector.register(log, selectors.EVENT_READ, partial(self._read_log, log.fileno()))
        connected = False
        while not self._stopping:
            connected = connected or self._connect(selector)
            with _registered(selector, self._fence.fileno(), self._hear_fence):
                ready = selector.select(_TICK_SECONDS)
            for key, _ in ready:
                if not self._stopping:
                    key.data()
            now_ns = time.monotonic_ns()
            self._carry_out(self._watch.tick(now_ns))
            self._forward(now_ns)
            if connected and time.monotonic() >= self._next_report:
                self._next_report = time.monotonic() + _REPORT_SECONDS
                self._report_packets()

    def _connect(self, selector: selectors.BaseSelector) -> bool:
        if not self._quorum.try_connect():
            if time.monotonic() > self._connect_until:
                raise CrunchbedError(f"corosync is not up after {_START_SECONDS:g} s")
            return False
        selector.register(self._quorum.fileno(), selectors.EVENT_READ, self._hear_quorum)
        self._events.emit("daemon.ready", name="heartbeat")
        return True

    def _hear_quorum(self) -> None:
        try:
            self._quorum.dispatch()
        except CrunchbedError as error:
            self._require_corosync(str(error))

    def _require_corosync(self, reason: str) -> None:
        """Its log or its library has ended: most likely it has, and says so with its last line."""
        if self._stopping:
            return
        try:
            code = self._corosync.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            raise CrunchbedError(f"corosync is not heard any more: {reason}") from None
        raise CrunchbedError(f"corosync ended by itself ({code}): {self._last_line}")

    def _read_log(self, descriptor: int) -> None:
        data = os.read(descriptor, 1 << 16)
        if not data:
            self._require_corosync("its log has ended")
            return
        now_ns = time.monotonic_ns()
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            sys.stdout.write(f"{text}\n")
            self._last_line = text.strip() or self._last_line
            self._report(text, now_ns)
        sys.stdout.flush()

    def _report(self, line: str, now_ns: int) -> None:
        match read_notice(line):
            case TokenOverdue(after_ms):
                self._miss(None, now_ns, after_ms)
            case LinkDown(node_id, link):
                peer = self._watch.name_of(node_id)
                self._ring("ring.down", link, peer, now_ns)
                # knet_ping_timeout, which corosync derives from the token, is no longer than it.
                if self._links.down(node_id, link):
                    self._miss(peer, now_ns, self._token_ms)
            case LinkUp(node_id, link):
                self._links.up(node_id, link)
                self._ring("ring.up", link, self._watch.name_of(node_id), now_ns)
            case NotScheduled(late_ns):
                self._events.emit("heartbeat.late", t=now_ns, late_ns=late_ns)

    def _ring(self, kind: str, ring: int, peer: str | None, now_ns: int) -> None:
        if self._several_rings and peer is not None:
            self._events.emit(kind, t=now_ns, ring=ring, peer=peer)

    def _miss(self, peer: str | None, now_ns: int, silent_ms: int) -> None:
        """Corosync's packets have no numbers that we know of, and so no tag.

        What is missed was due at some time of the silence, which ``silent_ns`` is the length of.
        """
        self._events.emit(
            "heartbeat.miss",
            t=now_ns,
            peer=peer,
            seq=0,
            deadline=now_ns,
            tag=None,
            silent_ns=silent_ms * 1_000_000,
        )

    def _report_packets(self) -> None:
        news = self._stats.news()
        self._events.emit(
            "heartbeat.sent", seq=None, peers=sum(each.sent for each in news.values())
        )
        counts = {name: each.received for name, each in news.items()}
        self._events.emit("heartbeat.received", counts=counts, malformed=0, late=0)

    def _hear_fence(self) -> None:
        for answer in self._fence.answers():
            self._watch.fence_answer(answer.target, answer.view, answer.ok)

    def _on_ring(self, number: int, left: list[int]) -> None:
        self._carry_out(self._watch.ring(number, left))

    def _on_quorum(self, number: int, members: list[int], quorate: bool) -> None:
        now_ns = time.monotonic_ns()
        self._carry_out(self._watch.quorum(number, members, quorate, now_ns))

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Suspected(peer):
                    self._events.emit("membership.suspect", peer=peer, misses=0)
                case ViewSeen():
                    self._report_view(effect)
                case FenceWanted(target, number):
                    self._events.emit("membership.fence_request", target=target, view=number)
                    self._fence.request(target, number)

    def _report_view(self, view: ViewSeen) -> None:
        self._events.emit(
            "membership.view",
            number=view.number,
            members=list(view.members),
            removed=list(view.removed),
            added=list(view.added),
            quorate=view.quorate,
        )


@contextlib.contextmanager
def _registered(
    selector: selectors.BaseSelector, descriptor: int, call: Callable[[], None]
) -> Iterator[None]:
    """Wait on a descriptor that comes and goes, for one select."""
    if descriptor < 0:
        yield
        return
    selector.register(descriptor, selectors.EVENT_READ, call)
    try:
        yield
    finally:
        selector.unregister(descriptor)


def main(arguments: list[str]) -> int:
    """Run the daemon; returns its exit code."""
    try:
        if len(arguments) != 1:
            raise BadInput("usage: python -m nodes.corosync CONFIG.json")
        config = load_config(Path(arguments[0]))
        events = ViewForwarder(EventSink(Path(config.events)), map(Path, config.listeners))
        keep_realtime()
        make_private(PRIVATE, [Path(each) for each in config.keep])
        CorosyncDaemon(config, events, start_corosync(config)).run()
    except (CrunchbedError, OSError) as error:
        print(f"corosync: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code if isinstance(error, CrunchbedError) else 1
    return 0
