"""One node's corosync and its watcher: what corosync says becomes the node's events."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from nodes.corosync.conf import corosync_conf
from nodes.corosync.config import CorosyncConfig
from nodes.corosync.notices import read_notice
from nodes.corosync.private import make_private
from nodes.corosync.quorum import QuorumConnection
from nodes.corosync.reports import NoticeReports, event_of, packets_counted
from nodes.corosync.stats import KnetStats
from nodes.corosync.watch import ClusterWatch, Effect, FenceWanted
from nodes.daemon import Stop, connect_events
from nodes.fencing import FenceClient
from nodes.listeners import ViewForwarder
from nodes.process import entering
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines.framing import LineBuffer

CONF = Path("/etc/corosync/corosync.conf")
# Corosync's pid file; its shared memory with its clients; the last ring; its configuration.
PRIVATE = tuple(map(Path, ("/run", "/dev/shm", "/var/lib/corosync", "/etc/corosync")))  # noqa: S108
_TICK_SECONDS = 0.05
_START_SECONDS = 30.0
_END_SECONDS = 1.0
_REPORT_SECONDS = 1.0
_SBIN = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))

MOST_REALTIME = 8
"""Nodes up to which corosync runs in real time, at the lowest priority, as its watcher does.

The work of corosync grows faster than the number of nodes: every node passes the token on, and
every node sends join messages to every other. In real time, many nodes would leave a small machine
no time for normal tasks, the kernel's own included.
"""


def start_normal_tasks() -> None:
    """Have children of this process start without its real-time priority."""
    policy = os.sched_getscheduler(0)
    if policy == os.SCHED_RR:
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, os.sched_getparam(0))


def start_corosync(config: CorosyncConfig) -> subprocess.Popen[bytes]:
    """Start corosync as a child that the kernel kills with this process; its log is a pipe.

    Corosync stays in this process's group, so that one signal to the group stops or continues both.
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
    """Watches one corosync; ``run`` returns when it is told to stop, with corosync killed.

    Corosync is killed, not asked to leave: a node that ends takes part in no more views, and nor do
    its peers, which end at the same time.
    """

    def __init__(
        self, config: CorosyncConfig, events: ViewForwarder, corosync: subprocess.Popen[bytes]
    ) -> None:
        self._events = events
        self._corosync = corosync
        self._fence = FenceClient(config.fence, config.node)
        self._watch = ClusterWatch(
            config.node,
            config.ids,
            config.fence_timeout_ns,
            two_node=config.two_node,
            ignore_quorum=config.ignore_quorum,
        )
        self._quorum = QuorumConnection(self._on_ring, self._on_quorum)
        peers = {name: number for name, number in config.ids.items() if name != config.node}
        self._stats = KnetStats(peers, config.rings)
        names = {number: name for name, number in config.ids.items()}
        self._reports = NoticeReports(names, config.rings, config.totem.token)
        self._next_report = time.monotonic() + _REPORT_SECONDS
        self._connect_until = time.monotonic() + _START_SECONDS
        self._lines = LineBuffer()
        self._last_line = ""

    def run(self, stop: Stop) -> None:
        """Watch until told to stop.

        Raises:
            CrunchbedError: Corosync ended by itself, or never came up.
        """
        self._stop = stop
        try:
            with selectors.DefaultSelector() as selector:
                self._loop(selector)
        finally:
            self._corosync.kill()
            self._corosync.wait()

    def _loop(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._stop, selectors.EVENT_READ, lambda: None)
        if (log := self._corosync.stdout) is not None:
            os.set_blocking(log.fileno(), False)
            selector.register(log, selectors.EVENT_READ, partial(self._read_log, log.fileno()))
        connected = False
        while not self._stop:
            connected = connected or self._connect(selector)
            with _registered(selector, self._fence.fileno(), self._hear_fence):
                ready = selector.select(_TICK_SECONDS)
            for key, _ in ready:
                if not self._stop:
                    key.data()
            now_ns = time.monotonic_ns()
            self._carry_out(self._watch.tick(now_ns), now_ns)
            self._events.push(now_ns)  # corosync may have nothing to tell for long
            if connected and self._reports.answers and time.monotonic() >= self._next_report:
                self._next_report = time.monotonic() + _REPORT_SECONDS
                self._report(packets_counted(self._stats.news(), time.monotonic_ns()))

    def _connect(self, selector: selectors.BaseSelector) -> bool:
        if not (self._reports.answers and self._quorum.try_connect()):
            if time.monotonic() > self._connect_until:
                raise CrunchbedError(f"corosync is not up after {_START_SECONDS:g} s")
            return False
        selector.register(self._quorum.fileno(), selectors.EVENT_READ, self._hear_quorum)
        self._report([DaemonReady(name="heartbeat")])
        return True

    def _hear_quorum(self) -> None:
        try:
            self._quorum.dispatch()
        except CrunchbedError as error:
            self._require_corosync(str(error))

    def _require_corosync(self, reason: str) -> None:
        """Raise why corosync's log or library has ended: most likely corosync itself has."""
        if self._stop:
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
        for line in self._lines.feed(data):
            text = line.decode(errors="replace")
            sys.stdout.write(f"{text}\n")
            self._last_line = text.strip() or self._last_line
            if (notice := read_notice(text)) is not None:
                self._report(self._reports.events(notice, now_ns))
        sys.stdout.flush()

    def _hear_fence(self) -> None:
        for answer in self._fence.answers():
            self._watch.fence_answer(answer.target, answer.view, answer.ok)

    def _on_ring(self, number: int, left: list[int]) -> None:
        self._carry_out(self._watch.ring(number, left), time.monotonic_ns())

    def _on_quorum(self, number: int, members: list[int], quorate: bool) -> None:
        now_ns = time.monotonic_ns()
        self._carry_out(self._watch.quorum(number, members, quorate, now_ns), now_ns)

    def _carry_out(self, effects: Iterable[Effect], now_ns: int) -> None:
        for effect in effects:
            self._events.emit(event_of(effect, now_ns))
            if isinstance(effect, FenceWanted):
                self._fence.request(effect.target, effect.number)

    def _report(self, events: Iterable[Event]) -> None:
        for event in events:
            self._events.emit(event)


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


def body(config: CorosyncConfig, stop: Stop) -> None:
    """Run corosync and its watcher until SIGTERM."""
    events = ViewForwarder(connect_events(config.events, "corosync"), config.listeners)
    if len(config.addresses) > MOST_REALTIME:
        start_normal_tasks()
    make_private(PRIVATE, config.keep)
    CorosyncDaemon(config, events, start_corosync(config)).run(stop)
