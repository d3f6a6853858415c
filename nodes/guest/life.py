"""One life of a guest, from its boot to its end: heartbeats, writes and memory, turn by turn."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from nodes.guest import commands
from nodes.guest.config import AttendantConfig
from nodes.guest.corosync import CorosyncOfGuest, tell_corosync
from nodes.guest.disk import DiskOfGuest
from nodes.guest.guest_clock import GuestClock
from nodes.guest.heartbeats import Fence, HeartbeatsOfGuest
from nodes.guest.layout import Kind, State
from nodes.guest.machine_link import MachineLink, News
from nodes.guest.memory import GuestMemory
from nodes.guest.ring import SharedMemory
from nodes.guest.scripts import Ask, Script, Scripts, Until, each, must
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.guests import GuestClockCompared, GuestReady
from reserve_agent.contract.events.heartbeats import HeartbeatLate
from reserve_agent.contract.events.pressure import PoolConfigured
from reserve_agent.contract.events.run import EventsLost
from reserve_agent.errors import RunInvalid

_PINGS: Final = 20
"""Round trips before the first heartbeat, so that its times are right within a millisecond."""
_PING_NS: Final = 100_000_000
_CLOCK_NS: Final = 10_000_000_000
_PUBLISHED_NS: Final = 20_000_000
"""After this time the module's counters have what was changed."""
_EXPLAINED_NS: Final = 250_000_000
"""Pressure explains that an agent stood still, also if it ended by so much before."""


@dataclass(frozen=True)
class Boot:
    """What a life begins with.

    Attributes:
        incarnation: Number of the life, from 0.
        policy: The policy that the node follows at first.
        metrics_port: Where its metrics are served, for ``pool.config``.
    """

    incarnation: int
    policy: str
    metrics_port: int


class GuestLife:
    """A guest from the moment in which its QEMU may be started.

    Args:
        config: The attendant's.
        boot: What the life begins with.
        shared: What guest and host share; it is cleared.
        fence: Asks for other nodes to be cut off.
        record: Adds an event to the history.
        now: Returns the time, nanoseconds of CLOCK_MONOTONIC.

    Attributes:
        state: ``booting``, ``ready`` or ``failed``.
        failure: Why the run is invalid; None while it is not.
        kernel: Release of the guest's kernel; empty until it is up.
        memory: The guest's memory.
        clock: The guest's clock.
    """

    def __init__(
        self,
        config: AttendantConfig,
        boot: Boot,
        shared: SharedMemory,
        fence: Fence,
        record: Callable[[Event], None],
        now: Callable[[], int],
    ) -> None:
        shared.prepare()
        self.state = "booting"
        self.failure: str | None = None
        self.kernel = ""
        self.clock = GuestClock()
        self._config = config
        self._boot = boot
        self._policy = boot.policy
        self._shared = shared
        self._record = record
        self._now = now
        self._link = MachineLink(shared)
        self._asked: dict[int, int] = {}
        self._scripts = Scripts(self._command)
        incarnation = boot.incarnation
        self._settings = replace(config.heartbeat, incarnation=incarnation, joining=incarnation > 0)
        self._beats = self._membership(fence)
        self._disk = DiskOfGuest(
            config, self._policy, incarnation, self.clock, self._scripts, record, now
        )
        self.memory = GuestMemory(config, shared, self.clock, self._scripts, record, now)
        self._ping_ns = self._compare_ns = self._lost = self._late_ns = 0

    def _membership(self, fence: Fence) -> HeartbeatsOfGuest | CorosyncOfGuest:
        corosync = self._config.corosync
        if corosync is None:
            return HeartbeatsOfGuest(self._settings, self._link, self.clock, fence, self._record)
        tell_corosync(corosync, self._shared)
        log = partial(print, flush=True)
        return CorosyncOfGuest(corosync, self.clock, fence, self._record, log)

    # --- what the guest says

    def step(self) -> None:
        """Take in what has come, and do what is due; to be called every few milliseconds."""
        # The time is read first: what had come by then is in the rings.
        now_ns = self._now()
        news = self._link.poll()
        heard_ns = self._now()
        try:
            self._answered(news, heard_ns)
            self._look(now_ns)
            self._scripts.advance(now_ns)
            self.memory.read(now_ns)
        except RunInvalid as error:
            self._fail(str(error))
        self._disk.take(news, now_ns)
        try:
            self._beats.take(news, now_ns, heard_ns)
        except RunInvalid as error:
            self._fail(str(error))
        if self.kernel and now_ns >= self._ping_ns and len(self._asked) < _PINGS:
            self._ping_ns = now_ns + _PING_NS
            self._command(Kind.PING, b"")

    def _answered(self, news: News, heard_ns: int) -> None:
        for number, done in news.answers:
            asked_ns = self._asked.pop(number, None)
            if asked_ns is not None and done.at_ns:
                self.clock.answered(asked_ns, done.at_ns, heard_ns)
            self._scripts.answered(number, done)

    def _look(self, now_ns: int) -> None:
        agent = self._shared.agent
        if self.kernel or self.failure:
            return
        if agent.state == State.FAILED:
            why = f"{agent.failure.decode(errors='replace')}: {os.strerror(agent.error)}"
            raise RunInvalid(f"the agent in the guest: {why}")
        if agent.state == State.READY:
            self.kernel = agent.release.decode(errors="replace") or "unknown"
            self._record(GuestReady(t=now_ns, kernel=self.kernel, uptime_ns=agent.ready_ns))
            self._scripts.start(self._set_up())

    def _fail(self, why: str) -> None:
        if self.failure is None:
            self.state, self.failure = "failed", why

    def _command(self, kind: Kind, body: bytes) -> int | None:
        asked_ns = self._now()
        number = self._link.command(kind, body)
        if number is not None:
            self._asked[number] = asked_ns
        return number

    def _set_up(self) -> Script:
        for _ in range(_PINGS):
            yield Ask(Kind.PING)
        for address, mac in self._config.neighbours.items():
            yield from must(commands.neighbour(address, mac))
        while not self._beats.settled:
            yield Until(self._now())
        yield from must(self._flag())
        while not self.memory.pool.total:
            yield Until(self._now())
        self._describe()
        if self._config.ballast_above is not None:
            yield from must(commands.ballast(self._config.ballast_above))
            yield Ask(Kind.PING)  # the agent has had a turn since it stood still for the ballast
        self._shared.agent.late_ns = 0
        self.state = "ready"
        self._beats.begin(self._now())
        self._disk.connect()

    def _flag(self) -> Ask:
        corosync = self._config.corosync
        if corosync is not None:
            return commands.flag_corosync(corosync.port, self._policy, self._config.memalloc)
        return commands.flag_heartbeats(self._policy, self._config.memalloc)

    def _describe(self) -> None:
        pool = self.memory.pool
        self._record(
            PoolConfigured(
                total=pool.total,
                reserve=pool.reserve,
                clean=max(0, pool.total - pool.free),
                computed=self._config.computed,
                policy=self._policy,
                memalloc=self._config.memalloc if self._policy == "memalloc" else (),
                metrics_port=self._boot.metrics_port,
            )
        )

    # --- the run's wishes

    def set_policy(self, policy: str) -> None:
        """Flag the sockets as another policy wants it."""
        self._policy = self._disk.policy = policy
        if self.state == "ready":
            self._describe()
        if self.kernel:
            self._scripts.start(self._follow_policy())

    def _follow_policy(self) -> Script:
        yield from must(self._flag())
        yield from self._disk.follow_policy()

    def open_reader(self, port: int, *, memalloc: bool) -> None:
        """Have a reader that does not read; ``memalloc``: with a flag, if the policy has flags."""
        self.memory.open_reader(port, flagged=memalloc and self._policy == "memalloc")

    def resize(self, reserve: int) -> None:
        """Give the kernel another reserve, in pages."""
        self._scripts.start(self._resize(reserve))

    def _resize(self, reserve: int) -> Script:
        yield from must(commands.reserve(reserve))
        yield Until(self._now() + _PUBLISHED_NS)
        self._describe()

    def forget_neighbours(self) -> int:
        """Have the guest forget the hardware addresses of peers and target; returns how many."""
        disk = self._config.disk
        addresses = {*self._beats.peers, *(() if disk is None else (disk.address,))}
        self._scripts.start(each(*map(commands.neighbour, sorted(addresses))))
        return len(addresses)

    def quiesce(self) -> int:
        """End heartbeats and writers; returns how many writes are still under way."""
        self._beats.stop()
        self._disk.quiesce()
        return self.memory.writes_under_way

    # --- from time to time

    def sample(self, now_ns: int, *, at_once: bool = False) -> None:
        """Record lateness and lost messages, and from time to time the clock and the counters.

        Args:
            now_ns: The time.
            at_once: Whether to record the counters in any case.
        """
        if not self.clock.known:
            return
        self._note_late(now_ns)
        channel_ns = self._beats.channel_ns
        if self.memory.record_counters(now_ns, self._late_ns, channel_ns, at_once=at_once):
            self._late_ns = self._beats.channel_ns = 0
        if now_ns >= self._compare_ns:
            self._compare_ns = now_ns + _CLOCK_NS
            offset, bound = self.clock.offset_ns, self.clock.bound_ns
            self._record(GuestClockCompared(t=now_ns, offset_ns=offset, bound_ns=bound))
        if (lost := self._link.lost) != self._lost:
            self._record(EventsLost(t=now_ns, count=lost - self._lost))
            self._lost = lost

    def _note_late(self, now_ns: int) -> None:
        """A guest that is late without a crunch is the testbed's fault, as a late daemon is."""
        agent = self._shared.agent
        late_ns = int(agent.late_ns)
        agent.late_ns = 0
        self._late_ns = max(self._late_ns, late_ns)
        crunched = self.memory.pressure.pressed_since(now_ns - late_ns - _EXPLAINED_NS)
        if self._beats.running and late_ns > self._settings.lateness_ns and not crunched:
            self._record(HeartbeatLate(t=now_ns, late_ns=late_ns))

    def close(self) -> None:
        """The guest has no power any more: take in what it has said last."""
        now_ns = self._now()
        news = self._link.poll()
        self._beats.stop()
        self._disk.quiesce()
        self._disk.take(news, now_ns)
        self._beats.take(news, now_ns, now_ns)
        self._beats.close(now_ns)
        with contextlib.suppress(RunInvalid):
            self.memory.read(now_ns)
        self.memory.close(now_ns)
        self.sample(now_ns, at_once=True)
