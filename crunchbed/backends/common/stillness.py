"""When processes stood still, told from looks at them from outside. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Key = tuple[int, int]
"""Pid and start of a process, which name it for good."""


class Seen(NamedTuple):
    """How a process was at one look.

    Attributes:
        stopped: Whether a signal or a debugger has stopped it.
        waited_ns: How long each of its threads has waited for a processor since its start, counted
            when a wait is over; None: nobody looked at that.
    """

    stopped: bool
    waited_ns: Mapping[int, int] | None = None


class Stood(NamedTuple):
    """A time in which a process certainly stood still; ``why`` as in ``part.late``."""

    process: Key
    since_ns: int
    until_ns: int
    why: str


class Stillness:
    """Compares each look with those before it."""

    def __init__(self) -> None:
        self._stopped: dict[Key, tuple[int, int]] = {}  # the first and the last look that saw it so
        self._waited: dict[Key, tuple[int, Mapping[int, int]]] = {}

    def look(self, now_ns: int, seen: Mapping[Key, Seen]) -> list[Stood]:
        """Take in how all processes are; return what is over, also where the process is gone."""
        over = [key for key in self._stopped if key not in seen or not seen[key].stopped]
        found = self._ended(over)
        for key, one in seen.items():
            if one.stopped:
                since, _ = self._stopped.get(key, (now_ns, now_ns))
                self._stopped[key] = since, now_ns
            if one.waited_ns is not None:
                found += self._waits(key, now_ns, one.waited_ns)
        self._waited = {key: before for key, before in self._waited.items() if key in seen}
        return found

    def end(self) -> list[Stood]:
        """Return what is not over at the last look."""
        return self._ended(list(self._stopped))

    def _ended(self, keys: list[Key]) -> list[Stood]:
        spans = ((key, *self._stopped.pop(key)) for key in keys)
        return [Stood(key, since, last, "stopped") for key, since, last in spans if last > since]

    def _waits(self, key: Key, now_ns: int, waited_ns: Mapping[int, int]) -> list[Stood]:
        """Return a wait that had begun before the last look: only such a one is surely one wait."""
        last_ns, before = self._waited.get(key, (now_ns, waited_ns))
        self._waited[key] = now_ns, waited_ns
        longest = max((ns - before.get(thread, ns) for thread, ns in waited_ns.items()), default=0)
        certain = longest - (now_ns - last_ns)
        return [Stood(key, last_ns - certain, last_ns, "no_processor")] if certain > 0 else []
