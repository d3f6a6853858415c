"""The console of a node that is a machine: a terminal here, and a serial port of the guest there.

The keys go to the guest as they are, Ctrl-C too; Ctrl-] leaves. A guest that stands still answers
no key, and then Ctrl-C leaves as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, NoReturn, cast

from reserve_agent.errors import BadInput

LEAVE: Final = b"\x1d"
SILENT_SECONDS: Final = 2.0
"""After which a guest that answers no key is said to stand still; under load a key takes 0.1 s."""
_INTERRUPT: Final = b"\x03"
_QUIET_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
_CHUNK: Final = 4096
_TERMINATED: Final = 128

End = Literal["left", "closed"]
"""Somebody has left the console, or the guest's power is gone."""


class Silence:
    """Whether a guest answers: a shell echoes every key at once."""

    def __init__(self) -> None:
        self.told = False
        self._since: float | None = None

    def typed(self, now: float) -> None:
        """A key was sent."""
        self._since = now if self._since is None else self._since

    def heard(self) -> None:
        """The guest has said something."""
        self.told, self._since = False, None

    def news(self, now: float) -> bool:
        """Return whether the guest is to be called silent now, once for each silence."""
        if self.told or self._since is None or now - self._since < SILENT_SECONDS:
            return False
        self.told = True
        return True


class Talk:
    """Carries bytes between a terminal and a guest until one of the two ends that.

    Args:
        guest: Connected to the serial port.
        keys: Descriptor that is read.
        screen: Descriptor that is written.
        tell_silence: Called when the guest does not answer.
    """

    def __init__(
        self, guest: socket.socket, keys: int, screen: int, tell_silence: Callable[[], None]
    ) -> None:
        self._guest = guest
        self._keys = keys
        self._screen = screen
        self._tell_silence = tell_silence
        self._silence = Silence()
        self._typing = True
        self._last = time.monotonic()
        guest.setblocking(False)

    def run(self) -> End:
        """Return who has ended it.

        Where the keys end, as those of a script do, the guest may answer until it has been quiet.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._guest, selectors.EVENT_READ, self._hear)
            selector.register(self._keys, selectors.EVENT_READ, self._type)
            while self._typing or time.monotonic() - self._last < _QUIET_SECONDS:
                for key, _ in selector.select(_LOOK_SECONDS):
                    if (end := key.data()) is not None:
                        return cast(End, end)
                if not self._typing and self._keys in selector.get_map():
                    selector.unregister(self._keys)
                if self._silence.news(time.monotonic()):
                    self._tell_silence()
        return "left"

    def _hear(self) -> End | None:
        if not (said := _received(self._guest)):
            return "closed"
        os.write(self._screen, said)
        self._silence.heard()
        self._last = time.monotonic()
        return None

    def _type(self) -> End | None:
        typed = os.read(self._keys, _CHUNK)
        if LEAVE in typed or (self._silence.told and _INTERRUPT in typed):
            return "left"
        if typed:
            with contextlib.suppress(BlockingIOError):  # one that takes nothing is told of
                self._guest.send(typed)
            self._silence.typed(time.monotonic())
        else:
            self._typing, self._last = False, time.monotonic()
        return None


def _received(guest: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        return guest.recv(_CHUNK)
    return b""


def open_console(path: Path, node: str, run: str) -> socket.socket:
    """Connect to a machine's console; ``alone`` is to be entered before.

    Raises:
        BadInput: The machine has no power.
    """
    guest = socket.socket(socket.AF_UNIX)
    try:
        guest.connect(str(path))
    except OSError as error:
        guest.close()
        told = f"{node} of run {run} has no power, and so no console: `crunchbed status`"
        raise BadInput(told) from error
    return guest


@contextlib.contextmanager
def alone(path: Path, node: str) -> Iterator[None]:
    """Keep other terminals away from a console: QEMU serves one, and lets a second one wait.

    Raises:
        BadInput: Another terminal has it.
    """
    with path.with_suffix(".terminal").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(f"another terminal has the console of {node}") from error
        yield


@contextlib.contextmanager
def raw_terminal(keys: int) -> Iterator[None]:
    """Have a terminal pass every key on; as before at the end, also at a SIGTERM or SIGHUP."""
    if not os.isatty(keys):
        yield
        return
    before = termios.tcgetattr(keys)
    handlers = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setraw(keys)
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(_TERMINATED + number)
