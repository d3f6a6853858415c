"""Experiments on one guest, each of which returns what it saw; ``crunchbed.calibrate`` reads it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from crunchbed.backends.machines.images import MAKE
from crunchbed.backends.machines.lone import PORT, SINK_PORT, LoneGuest
from crunchbed.calibrate.floors import Sweep
from crunchbed.calibrate.packets import Flagged, Trial
from crunchbed.calibrate.sizes import LEAST, LONG, MOST, SHORT, Held, Pages, Sizes, longest_copied
from nodes.guest import commands
from nodes.guest.layout import Kind, Memalloc, Socket, Window
from nodes.guest.layout import Request as Probed
from nodes.guest.messages import Done, Flag, Level, Sink
from nodes.guest.ring import network_port
from nodes.guest.scripts import AGAIN_NS, Ask
from reserve_agent.errors import MissingRequirement, RunInvalid
from reserve_agent.model.profiles.kernel import Request

LEVEL_MILLI: Final = 250
"""Between the floors of GFP_ATOMIC, 3/8, and of memalloc, 0."""
_RATE: Final = 1000
"""Frames a second for a reader."""
_UNREAD_RATE: Final = 4000
"""Frames a second that nobody reads."""
_REFILL_US: Final = 5000
_WAIT_SECONDS: Final = 10.0
_DEAF_SECONDS: Final = 4.0
"""In which a driver finds out that there is memory again: that of e1000 looks every 2 s."""
_ATTEMPTS: Final = 5
_MOST_LATE_NS: Final = 300_000_000
"""A window is so much longer than sending takes."""
_QUIET_SECONDS: Final = 0.15
_BUSY_TRIES: Final = 20
_UNBOUND: Final = 1 << 30
_MORE_THAN_HELD: Final = 400
"""Frames; the usual receive buffer holds 167."""


def sweep(guest: LoneGuest) -> Sweep:
    """Have the module probe the allocator at every level.

    Raises:
        RunInvalid: The guest knows no such command, or refuses.
    """
    _must(guest, Ask(Kind.PROBE))
    found = guest.shared.probed()

    def pages(values: object, request: Request) -> int | None:
        value = int(values[Probed[request.name]])  # type: ignore[index]
        return value if value >= 0 else None

    return Sweep(
        int(found.min_pages),
        int(found.step_pages),
        int(found.highatomic_pages),
        {request: pages(found.granted, request) for request in Request},
        {request: pages(found.refused, request) for request in Request},
    )


def _must(guest: LoneGuest, ask: Ask) -> Done:
    """Return the answer to a command, which is repeated while the module is busy."""
    for _ in range(_BUSY_TRIES):
        done = guest.ask(ask)
        if done.result != -errno.EBUSY:
            break
        _pass(guest, AGAIN_NS / 1e9)
    if done.result == -errno.EOPNOTSUPP:
        raise MissingRequirement(f"this guest is of an older build ({MAKE})")
    if done.result < 0:
        why = os.strerror(-done.result)
        raise RunInvalid(f"the guest refused {ask.kind.name.lower()}: {why}")
    return done


def _pass(guest: LoneGuest, seconds: float) -> None:
    """Take what comes for some time."""
    end = time.monotonic() + seconds
    guest.until(lambda: time.monotonic() >= end, seconds + 1, "time passes")


def slots(guest: LoneGuest) -> int:
    """Return the slots of the card's ring, as its driver says them."""
    return int(_must(guest, Ask(Kind.DESCRIPTORS)).value)


def trial(guest: LoneGuest, flagged: Flagged, frame_bytes: int, ring: int) -> Trial:
    """Hold a level, send frames while it is held and after it, and see what the reader has.

    Args:
        guest: Nothing else happens to it.
        flagged: Who is flagged meanwhile.
        frame_bytes: Bytes of a frame.
        ring: Slots of the card's ring.

    Raises:
        RunInvalid: Guest or sender stood still in every attempt, for want of a processor.
    """
    for _ in range(_ATTEMPTS):
        guest.shared.agent.late_ns = 0
        sender = _Sender(guest, frame_bytes)
        _flag(guest, flagged)
        found = _tried(guest, flagged, sender, ring)
        _flag(guest, Flagged.NOBODY)
        stood_ns = max(int(guest.shared.agent.late_ns), sender.late_ns)
        if stood_ns < _MOST_LATE_NS:
            return found
    raise RunInvalid(f"this machine is too busy: it stood still for {stood_ns / 1e9:.2f} s")


def _tried(guest: LoneGuest, flagged: Flagged, sender: _Sender, ring: int) -> Trial:
    due = ring * 3 // 2 + 200
    guest.arrivals.clear()
    drops = int(guest.counters().pfmemalloc_drops)
    number = _hold(guest, due / _RATE + _MOST_LATE_NS / 1e9)
    guest.until(lambda: _reached(guest.window(number)), _WAIT_SECONDS, "the level is reached")
    inside = sender.send(due, _ended(guest, number), _WAIT_SECONDS + due / _RATE)
    guest.until(_ended(guest, number), _WAIT_SECONDS + due / _RATE, "the end of the window")
    drops = int(guest.counters().pfmemalloc_drops) - drops
    after = sender.send(ring + 200, lambda: False, _DEAF_SECONDS + ring / _RATE)
    _pass(guest, _QUIET_SECONDS)
    window = guest.window(number)
    if window is None:
        raise RunInvalid("the guest has no record of a window")
    return Trial(
        *(flagged, sender.frame_bytes, ring, due, inside, after),
        *(int(window.reached_ns), int(window.ended_ns), dict(guest.arrivals), drops),
    )


def _hold(guest: LoneGuest, seconds: float) -> int:
    level = Level(hold_us=int(seconds * 1e6), refill_us=_REFILL_US, level_milli=LEVEL_MILLI)
    ask = Ask(Kind.LEVEL, level)
    _must(guest, ask)
    return ask.number


def _reached(window: Window | None) -> bool:
    return window is not None and bool(window.reached_ns)


def _ended(guest: LoneGuest, number: int) -> Callable[[], bool]:
    def ended() -> bool:
        window = guest.window(number)
        return window is not None and bool(window.freed_ns)

    return ended


def _flag(guest: LoneGuest, flagged: Flagged) -> None:
    """Flag the socket that is read, another one, or none."""
    reader = Memalloc.ON if flagged is Flagged.READER else Memalloc.OFF
    _must(guest, Ask(Kind.FLAG, Flag(socket=Socket.HEARTBEAT, value=reader)))
    other = flagged is Flagged.OTHER
    _must(guest, commands.sink(SINK_PORT if other else 0))
    if other:
        _must(guest, commands.flag_sink())


class _Sender:
    """Sends frames at a rate; those that the card has no slot for are not sent later.

    Attributes:
        frame_bytes: Bytes of a frame.
        late_ns: Longest time between two looks while it was sending.
    """

    def __init__(
        self, guest: LoneGuest, frame_bytes: int, port: int = PORT, rate: int = _RATE
    ) -> None:
        self.frame_bytes = frame_bytes
        self.late_ns = 0
        self._guest = guest
        self._port = port
        self._rate = rate
        self._next = 0

    def send(self, count: int, over: Callable[[], bool], seconds: float) -> int:
        """Send so many frames, until ``over()``, for so many seconds at most; returns how many."""
        begun = looked = time.monotonic()
        sent = 0

        def turn() -> bool:
            nonlocal sent, looked
            now = time.monotonic()
            self.late_ns = max(self.late_ns, int((now - looked) * 1e9))
            looked, passed = now, now - begun
            while sent < min(count, int(passed * self._rate) + 1):
                if not self._guest.send(self._next, self.frame_bytes, self._port):
                    break
                self._next += 1
                sent += 1
            return sent >= count or over() or passed > seconds

        self._guest.until(turn, seconds + _WAIT_SECONDS, "frames are sent")
        return sent


def sizes(guest: LoneGuest, kept: int) -> Sizes:
    """Measure what frames hold while nobody reads them, with enough memory.

    Args:
        guest: Nothing else happens to it.
        kept: Frames of which the pages are counted, after as many that use up what slabs have.
    """
    short, long = _truesize(guest, SHORT), _truesize(guest, LONG)
    full = tuple(_full(guest, size) for size in (SHORT, LONG))
    pages = tuple(_pages(guest, size, kept) for size in (SHORT, LONG))
    shortest, longest = _truesize(guest, LEAST), _truesize(guest, MOST)
    copies = longest_copied(partial(_truesize, guest), shortest, longest)
    return Sizes(short, long, copies, full, pages)


class _Unread:
    """A socket that nobody reads, and frames for it.

    Args:
        guest: Has the socket.
        frame_bytes: Bytes of a frame.
        buffer: Bytes of the receive buffer; 0: the kernel's own.
    """

    def __init__(self, guest: LoneGuest, frame_bytes: int, buffer: int) -> None:
        self._guest = guest
        self._buffer = buffer
        self._sender = _Sender(guest, frame_bytes, SINK_PORT, _UNREAD_RATE)

    def __enter__(self) -> _Unread:
        port = network_port(SINK_PORT)
        _must(self._guest, Ask(Kind.SINK, Sink(port=port, receive_buffer=self._buffer)))
        return self

    def __exit__(self, *_: object) -> None:
        agent = self._guest.shared.agent
        _must(self._guest, commands.sink(0))
        self._guest.until(lambda: not agent.sink_bytes, _WAIT_SECONDS, "the socket is closed")

    def first(self) -> int:
        """Send the first frame, and return what the kernel counts for it."""
        agent = self._guest.shared.agent
        self._sender.send(1, lambda: False, _DEAF_SECONDS)
        self._guest.until(lambda: agent.sink_bytes, _WAIT_SECONDS, "a frame that nobody reads")
        return int(agent.sink_bytes)

    def more(self, count: int) -> tuple[int, int]:
        """Send more; return the bytes that the socket holds then, and the pages that are free."""
        self._sender.send(count, lambda: False, _DEAF_SECONDS + count / _RATE)
        _pass(self._guest, _QUIET_SECONDS)
        return int(self._guest.shared.agent.sink_bytes), int(self._guest.counters().free_pages_all)


def _truesize(guest: LoneGuest, frame_bytes: int) -> int:
    with _Unread(guest, frame_bytes, 0) as unread:
        return unread.first()


def _full(guest: LoneGuest, frame_bytes: int) -> Held:
    """Send more frames than a socket with the kernel's own buffer holds."""
    with _Unread(guest, frame_bytes, 0) as unread:
        truesize = unread.first()
        held, _ = unread.more(_MORE_THAN_HELD)
    return Held(frame_bytes, held // truesize, truesize)


def _pages(guest: LoneGuest, frame_bytes: int, kept: int) -> Pages:
    """Count the pages of frames that a socket without a bound holds."""
    with _Unread(guest, frame_bytes, _UNBOUND) as unread:
        truesize = unread.first()
        before, free_before = unread.more(kept)
        after, free_after = unread.more(kept)
    return Pages(frame_bytes, (after - before) // truesize, free_before - free_after)
