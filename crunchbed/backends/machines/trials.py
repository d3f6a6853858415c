"""Experiments on one guest, each of which returns what it saw; ``crunchbed.calibrate`` reads it."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import Final

from crunchbed.backends.machines.images import MAKE
from crunchbed.backends.machines.lone import SINK_PORT, LoneGuest
from crunchbed.backends.machines.sender import Sender
from crunchbed.calibrate.floors import Sweep
from crunchbed.calibrate.packets import Flagged, Trial
from crunchbed.calibrate.sizes import LEAST, LONG, MOST, SHORT, Held, Sizes, longest_copied
from nodes.guest import commands
from nodes.guest.layout import Kind, Memalloc, Socket, Window
from nodes.guest.layout import Request as Probed
from nodes.guest.messages import Done, Flag, Level, Sink
from nodes.guest.ring import network_port
from nodes.guest.scripts import Ask
from reserve_agent.errors import MissingRequirement, RunInvalid
from reserve_agent.model.profiles.kernel import Request

LEVEL_MILLI: Final = 250
"""Between the floors of GFP_ATOMIC, 3/8, and of memalloc, 0."""
_REFILL_US: Final = 5000
_WAIT_SECONDS: Final = 10.0
_DEAF_TURNS: Final = 4000
"""In which a driver finds out that there is memory again: that of e1000 looks every 2 s."""
_BLOCKED_TURNS: Final = 200
"""After which a card that takes no frame in a window is out of slots."""
_QUIET_TURNS: Final = 100
"""In which what is under way has come."""
_BUSY_TURNS: Final = 100
_LONGEST_US: Final = 60_000_000
_BUSY_TRIES: Final = 20
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
        guest.pass_turns(_BUSY_TURNS)
    if done.result == -errno.EOPNOTSUPP:
        raise MissingRequirement(f"this guest is of an older build ({MAKE})")
    if done.result < 0:
        why = os.strerror(-done.result)
        raise RunInvalid(f"the guest refused {ask.kind.name.lower()}: {why}")
    return done


def slots(guest: LoneGuest) -> int:
    """Return the slots of the card's ring, as its driver says them."""
    return int(_must(guest, Ask(Kind.DESCRIPTORS)).value)


def turn(guest: LoneGuest, ring: int) -> None:
    """Have every buffer of the ring used once: a driver may fill it in another way at its load."""
    Sender(guest, LONG).send(2 * ring, patience=_DEAF_TURNS)
    guest.pass_turns(_QUIET_TURNS)


def trial(guest: LoneGuest, flagged: Flagged, frame_bytes: int, ring: int) -> Trial:
    """Hold a level, send frames while it is held and after it, and see what the reader has.

    Args:
        guest: Nothing else happens to it.
        flagged: Who is flagged meanwhile.
        frame_bytes: Bytes of a frame.
        ring: Slots of the card's ring.
    """
    due = ring * 3 // 2 + 200
    _flag(guest, flagged)
    guest.forget_arrivals()
    sender = Sender(guest, frame_bytes)
    drops = int(guest.counters().pfmemalloc_drops)
    number = _hold(guest)
    inside = sender.send(due, patience=_BLOCKED_TURNS)
    guest.pass_turns(_QUIET_TURNS)
    _must(guest, Ask(Kind.CALM))
    window = _ended(guest, number)
    drops = int(guest.counters().pfmemalloc_drops) - drops
    after = sender.send(ring + 200, patience=_DEAF_TURNS)
    guest.pass_turns(_QUIET_TURNS)
    _flag(guest, Flagged.NOBODY)
    return Trial(
        *(flagged, frame_bytes, ring, due, inside, after),
        *(int(window.reached_ns), int(window.ended_ns), dict(guest.arrivals), drops),
    )


def _hold(guest: LoneGuest) -> int:
    """Have a window until it is told to end; return its number once the level is reached."""
    level = Level(hold_us=_LONGEST_US, refill_us=_REFILL_US, level_milli=LEVEL_MILLI)
    ask = Ask(Kind.LEVEL, level)
    _must(guest, ask)

    def reached() -> bool:
        window = guest.shared.window(ask.number)
        return window is not None and bool(window.reached_ns)

    guest.until(reached, _WAIT_SECONDS, "the level is reached")
    return ask.number


def _ended(guest: LoneGuest, number: int) -> Window:
    found: list[Window] = []

    def ended() -> bool:
        window = guest.shared.window(number)
        if window is not None and window.freed_ns:
            found.append(window)
        return bool(found)

    guest.until(ended, _WAIT_SECONDS, "the end of the window")
    return found[0]


def _flag(guest: LoneGuest, flagged: Flagged) -> None:
    """Flag the socket that is read, another one, or none."""
    reader = Memalloc.ON if flagged is Flagged.READER else Memalloc.OFF
    _must(guest, Ask(Kind.FLAG, Flag(socket=Socket.HEARTBEAT, value=reader)))
    other = flagged is Flagged.OTHER
    _must(guest, commands.sink(SINK_PORT if other else 0))
    if other:
        _must(guest, commands.flag_sink())


def sizes(guest: LoneGuest) -> Sizes:
    """Measure what the kernel counts for frames that nobody reads, with enough memory."""
    short, long = _truesize(guest, SHORT), _truesize(guest, LONG)
    full = tuple(_full(guest, size) for size in (SHORT, LONG))
    shortest, longest = _truesize(guest, LEAST), _truesize(guest, MOST)
    copies = longest_copied(partial(_truesize, guest), shortest, longest)
    return Sizes(short, long, copies, full)


class _Unread:
    """A socket with the kernel's own receive buffer that nobody reads, and frames for it.

    Args:
        guest: Has the socket.
        frame_bytes: Bytes of a frame.
    """

    def __init__(self, guest: LoneGuest, frame_bytes: int) -> None:
        self._guest = guest
        self._sender = Sender(guest, frame_bytes, SINK_PORT)

    def __enter__(self) -> _Unread:
        port = network_port(SINK_PORT)
        _must(self._guest, Ask(Kind.SINK, Sink(port=port)))
        return self

    def __exit__(self, *_: object) -> None:
        agent = self._guest.shared.agent
        _must(self._guest, commands.sink(0))
        self._guest.until(lambda: not agent.sink_bytes, _WAIT_SECONDS, "the socket is closed")

    def first(self) -> int:
        """Send the first frame, and return what the kernel counts for it."""
        agent = self._guest.shared.agent
        self._sender.send(1, patience=_DEAF_TURNS)
        self._guest.until(lambda: agent.sink_bytes, _WAIT_SECONDS, "a frame that nobody reads")
        return int(agent.sink_bytes)

    def more(self, count: int) -> int:
        """Send more; return the bytes that the socket holds then."""
        self._sender.send(count, patience=_DEAF_TURNS)
        self._guest.pass_turns(_QUIET_TURNS)
        return int(self._guest.shared.agent.sink_bytes)


def _truesize(guest: LoneGuest, frame_bytes: int) -> int:
    with _Unread(guest, frame_bytes) as unread:
        return unread.first()


def _full(guest: LoneGuest, frame_bytes: int) -> Held:
    """Send more frames than a socket with the kernel's own buffer holds."""
    with _Unread(guest, frame_bytes) as unread:
        truesize = unread.first()
        held = unread.more(_MORE_THAN_HELD)
    return Held(frame_bytes, held // truesize, truesize)
