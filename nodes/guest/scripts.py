"""Commands to the guest that follow one another: each script waits for the answer to its last one.

A script is a generator. It yields what it wants next, an ``Ask`` or a time to go on at, and is
given the answer. So a script reads like a program that waits, while nothing here ever waits.
"""

from __future__ import annotations

import ctypes as c
import errno
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from nodes.guest.layout import Kind
from nodes.guest.messages import Done
from reserve_agent.errors import RunInvalid

AGAIN_NS: Final = 100_000_000
"""When a command is repeated that the guest had no time for."""


class Ask:
    """A command that a script wants an answer to.

    Args:
        kind: What is wanted.
        body: A structure of ``messages.py``; None where the command has none.

    Attributes:
        number: The command's, once the guest was given it; 0 before.
    """

    def __init__(self, kind: Kind, body: c.LittleEndianStructure | None = None) -> None:
        self.kind = kind
        self.body = b"" if body is None else bytes(body)
        self.number = 0


@dataclass(frozen=True)
class Until:
    """A script goes on when the clock is at ``ns``; the answer that it gets says nothing."""

    ns: int


Script = Generator[Ask | Until, Done, None]
Asking = Generator[Ask | Until, Done, Done]
"""A part of a script that returns an answer."""


def must(ask: Ask, *unless: int) -> Asking:
    """Return the answer to a command that the guest has no reason to refuse.

    Args:
        ask: The command.
        unless: ``errno`` of refusals that are none.

    Raises:
        RunInvalid: It refused.
    """
    done = yield ask
    if done.result < 0 and -done.result not in unless:
        why = os.strerror(-done.result)
        raise RunInvalid(f"the guest refused {ask.kind.name.lower()}: {why}")
    return done


def patiently(ask: Ask, now: Callable[[], int], *unless: int) -> Asking:
    """Return the answer to a command that the guest is not too busy for any more; see ``must``."""
    while (done := (yield from must(ask, errno.EBUSY, *unless))).result == -errno.EBUSY:
        yield Until(now() + AGAIN_NS)
    return done


def each(*asks: Ask) -> Script:
    """Give these commands, whatever comes of them."""
    for ask in asks:
        _ = yield ask


class Scripts:
    """The scripts that are under way.

    Args:
        command: Gives the guest a command; returns its number, or None where there is no room now.
    """

    def __init__(self, command: Callable[[Kind, bytes], int | None]) -> None:
        self._command = command
        self._asked: dict[int, Script] = {}
        self._later: list[tuple[Ask | Until, Script]] = []

    def start(self, script: Script) -> None:
        """Begin a script; see ``answered`` for errors."""
        self._go_on(script, None)

    def stop(self, script: Script) -> None:
        """End a script that may still wait: what it waits for does not matter any more."""
        self._asked = {number: one for number, one in self._asked.items() if one is not script}
        self._later = [(wish, one) for wish, one in self._later if one is not script]
        script.close()

    def answered(self, number: int, done: Done) -> None:
        """Hand an answer to the script that waits for it, if one does.

        Raises:
            RunInvalid: The script does not go on after that.
        """
        script = self._asked.pop(number, None)
        if script is not None:
            self._go_on(script, done)

    def advance(self, now_ns: int) -> None:
        """Go on with scripts whose time has come, or for whose command there was no room."""
        waiting, self._later = self._later, []
        for wish, script in waiting:
            if isinstance(wish, Ask):
                self._ask(wish, script)
            elif wish.ns <= now_ns:
                self._go_on(script, Done())
            else:
                self._later.append((wish, script))

    def _go_on(self, script: Script, done: Done | None) -> None:
        try:
            wish = next(script) if done is None else script.send(done)
        except StopIteration:
            return
        if isinstance(wish, Ask):
            self._ask(wish, script)
        else:
            self._later.append((wish, script))

    def _ask(self, wish: Ask, script: Script) -> None:
        number = self._command(wish.kind, wish.body)
        if number is None:
            self._later.append((wish, script))
        else:
            wish.number = number
            self._asked[number] = script
