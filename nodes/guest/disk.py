"""The block device of one life of a guest: its connection, and the writers on it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from nodes.guest import commands
from nodes.guest.config import AttendantConfig, GuestDisk
from nodes.guest.events import write
from nodes.guest.guest_clock import GuestClock
from nodes.guest.machine_link import News
from nodes.guest.scripts import AGAIN_NS, Ask, Script, Scripts, Until, each, must, patiently
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import IoDisconnected, IoReconnected


class DiskOfGuest:
    """Connects the guest's block device, again after each loss, and has the guest write.

    Args:
        config: The attendant's.
        incarnation: Number of this life, from 0.
        clock: The guest's.
        scripts: Carries out commands.
        record: Adds an event to the history.
        now: Returns the time, nanoseconds.

    Attributes:
        policy: The policy that the connection's socket follows from its next start on.
    """

    def __init__(
        self,
        config: AttendantConfig,
        policy: str,
        incarnation: int,
        clock: GuestClock,
        scripts: Scripts,
        record: Callable[[Event], None],
        now: Callable[[], int],
    ) -> None:
        self.policy = policy
        self._config = config
        self._incarnation = incarnation
        self._clock = clock
        self._scripts = scripts
        self._record = record
        self._now = now
        self._script: Script | None = None
        self._connected = self._was_connected = self._quiet = False

    def connect(self) -> None:
        """Connect and begin to write, if the node has a device."""
        if self._script is not None:
            self._scripts.stop(self._script)
        self._script = self._connect()
        self._scripts.start(self._script)

    def _connect(self) -> Script:
        disk = self._config.disk
        if disk is None:
            return
        yield commands.stop_writing()  # to a device that has ended
        if disk.transport != "nbd":
            yield from must(self._flag(disk))  # a rule, which is there before the socket is
        while (yield commands.connect(disk, self._config.node)).result < 0:
            yield Until(self._now() + AGAIN_NS)
        self._connected = True
        yield from must(self._flag(disk), errno.ENOTCONN)
        begin = commands.write(disk, self._config.heartbeat.index, self._incarnation)
        yield from patiently(begin, self._now)
        if self._was_connected:
            self._record(IoReconnected(t=self._now(), transport=disk.transport))
        else:
            self._record(DaemonReady(t=self._now(), name="initiator"))
        self._was_connected = True

    def _flag(self, disk: GuestDisk) -> Ask:
        return commands.flag_disk(disk, self.policy, self._config.memalloc)

    def follow_policy(self) -> Script:
        """Flag the socket of a connection that is there, as ``policy`` wants it."""
        disk = self._config.disk
        if disk is not None and self._connected:
            yield from must(self._flag(disk), errno.ENOTCONN)

    def take(self, news: News, now_ns: int) -> None:
        """Record what was written; where the device has ended, connect anew."""
        disk = self._config.disk
        transport = "" if disk is None else disk.transport
        for written in news.written:
            self._record(write(written, self._clock, self._incarnation, transport))
        for done in news.ended:
            self._connected = False
            why = os.strerror(-done.result) if done.result else "the connection has ended"
            self._record(IoDisconnected(t=now_ns, error=why, transport=transport))
            if not self._quiet:
                self.connect()

    def quiesce(self) -> None:
        """Have the writers end after the writes that are under way; there is no new connection."""
        if self._quiet:
            return
        self._quiet = True
        if self._script is not None:
            self._scripts.stop(self._script)
        self._scripts.start(each(commands.stop_writing()))
