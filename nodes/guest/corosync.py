"""The corosync of one life of a guest: what it says becomes the node's events, as in a namespace.

Corosync runs in the guest, and so does a watcher that tells what corosync says. Views, suspicions
and fence requests follow here, by the same rules as beside a corosync in a namespace
(``nodes/corosync``). What a guest that stands still has not said is not known here either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from nodes.corosync.conf import corosync_conf
from nodes.corosync.config import CorosyncSettings
from nodes.corosync.notices import read_notice
from nodes.corosync.reports import NoticeReports, Packets, event_of, packets_counted
from nodes.corosync.watch import ClusterWatch, Effect, FenceWanted
from nodes.guest.corosync_news import (
    CorosyncNews,
    Ended,
    LogLine,
    PacketsOf,
    QuorumSaid,
    RingFormed,
)
from nodes.guest.guest_clock import GuestClock
from nodes.guest.heartbeats import Fence
from nodes.guest.machine_link import News
from nodes.guest.ring import SharedMemory
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.errors import RunInvalid


def tell_corosync(settings: CorosyncSettings, shared: SharedMemory) -> None:
    """Write what a guest's corosync is told into the shared memory, before the boot."""
    ids = settings.ids
    text = corosync_conf(settings)
    shared.tell_corosync(len(ids), ids[settings.node], settings.rings, text)


class CorosyncOfGuest:
    """A clock and a fence service around ``ClusterWatch`` and ``NoticeReports``.

    Args:
        settings: Of the node's corosync.
        clock: The guest's.
        fence: Asks for other nodes to be cut off.
        record: Adds an event to the history.
        log: Keeps a line of corosync's log.

    Attributes:
        running: Whether what corosync says is recorded and judged.
        channel_ns: Longest time from what corosync said until it was here; whoever has taken the
            figure sets it to 0.
    """

    def __init__(
        self,
        settings: CorosyncSettings,
        clock: GuestClock,
        fence: Fence,
        record: Callable[[Event], None],
        log: Callable[[str], object],
    ) -> None:
        self.running = False
        self.channel_ns = 0
        self._settings = settings
        self._names = {number: name for name, number in settings.ids.items()}
        self._clock = clock
        self._fence = fence
        self._record = record
        self._log = log
        self._watch = ClusterWatch(
            settings.node,
            settings.ids,
            settings.fence_timeout_ns,
            two_node=settings.two_node,
            ignore_quorum=settings.ignore_quorum,
        )
        self._reports = NoticeReports(self._names, settings.rings, settings.totem.token)
        self._counted: dict[str, Packets] = {}
        self._waiting: list[CorosyncNews] = []
        self._connected = self._stopped = False
        self._last_line = ""

    @property
    def peers(self) -> tuple[str, ...]:
        """The addresses of the peers."""
        addresses = self._settings.addresses
        return tuple(each[0] for name, each in addresses.items() if name != self._settings.node)

    @property
    def settled(self) -> bool:
        """Whether corosync has all the memory that it keeps: it is in a ring and has its clients.

        Each client costs it several MiB; the one that counts packets is the last.
        """
        return self._connected and bool(self._counted)

    def begin(self, _now_ns: int) -> None:
        """The node has booted; corosync has begun by itself."""
        self.running = True

    def stop(self) -> None:
        """Take in nothing any more."""
        self.running, self._stopped = False, True

    def take(self, news: News, now_ns: int, heard_ns: int) -> None:
        """Record what corosync has said, and do what is due.

        Args:
            news: All that had come by ``now_ns``, or a little more.
            now_ns: The time before the guest was asked for news.
            heard_ns: The time after that.

        Raises:
            RunInvalid: Corosync has ended.
        """
        self._waiting += news.corosync
        if self._stopped or not self._clock.known:
            return
        told, self._waiting = self._waiting, []
        for one in told:
            at_ns = min(self._clock.host_ns(one.at_ns), heard_ns)
            self.channel_ns = max(self.channel_ns, heard_ns - at_ns)
            self._take(one, at_ns)
        for answer in self._fence.answers():
            self._watch.fence_answer(answer.target, answer.view, answer.ok)
        self._carry_out(self._watch.tick(now_ns), now_ns)

    def _take(self, one: CorosyncNews, at_ns: int) -> None:
        match one:
            case LogLine(_, text):
                self._read_line(text, at_ns)
            case RingFormed(_, number, left):
                self._note_connected(at_ns)
                self._carry_out(self._watch.ring(number, left), at_ns)
            case QuorumSaid(_, number, members, quorate):
                self._note_connected(at_ns)
                self._carry_out(self._watch.quorum(number, members, quorate, at_ns), at_ns)
            case PacketsOf():
                self._record_all(packets_counted(self._added(one), at_ns))
            case Ended(_, status):
                code = os.waitstatus_to_exitcode(status)
                raise RunInvalid(f"corosync ended by itself ({code}): {self._last_line}")

    def _read_line(self, text: str, at_ns: int) -> None:
        self._log(text)
        self._last_line = text.strip() or self._last_line
        if (notice := read_notice(text)) is not None:
            self._record_all(self._reports.events(notice, at_ns))

    def _note_connected(self, at_ns: int) -> None:
        if not self._connected:
            self._connected = True
            self._record(DaemonReady(t=at_ns, name="heartbeat"))

    def _added(self, told: PacketsOf) -> dict[str, Packets]:
        """Return a peer's packets since it was told last."""
        name = self._names[told.peer]
        before = self._counted.get(name, Packets(0, 0))
        now = self._counted[name] = Packets(told.sent, told.received)
        sent, received = (max(0, new - old) for new, old in zip(now, before, strict=True))
        return {name: Packets(sent, received)}

    def close(self, _now_ns: int) -> None:
        """The guest has no power any more."""
        self.stop()

    def _carry_out(self, effects: Iterable[Effect], now_ns: int) -> None:
        for effect in effects:
            self._record(event_of(effect, now_ns))
            if isinstance(effect, FenceWanted):
                self._fence.request(effect.target, effect.number)

    def _record_all(self, events: Iterable[Event]) -> None:
        for event in events:
            self._record(event)
