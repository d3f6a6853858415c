"""When a simulated node's pool is looked at, and its counters written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from crunchbed.backends.simulation.loop import SimulatedLoop, Timer

POLL_NS: Final = 10_000_000
SAMPLE_NS: Final = 50_000_000
"""How often an agent looks at the pool, and writes its counters down (``reserve_agent/agent.py``):
an emergency flag is raised as late as an agent sees the pressure. A look at a calm pool finds
nothing and is left out; a summary also leaves out its counters."""


class Watched(NamedTuple):
    """A pool, as far as somebody looks at it.

    Attributes:
        look: Does what an agent does when it looks.
        sample: Writes the counters down.
        busy: Says whether a look may find something.
        goes_on: Says whether a summary has the counters of this moment: also those by which a
            reader sees that writes wait.
    """

    look: Callable[[], None]
    sample: Callable[[], None]
    busy: Callable[[], bool]
    goes_on: Callable[[], bool]


class Looks:
    """Looks at a pool once in 10 ms, at a phase of its own, and samples once in 50 ms."""

    def __init__(self, loop: SimulatedLoop, watched: Watched, *, summarised: bool) -> None:
        self._loop = loop
        self._watched = watched
        self._summarised = summarised
        self._timer = Timer(loop, self._look)
        self._began_ns: int | None = None
        self._next_sample_ns = 0
        self._told = False  # the counters as they are now that nothing goes on

    def begin(self, phase_ns: int) -> None:
        """Begin with a look and a sample; the next look comes ``phase_ns`` later, 1 to POLL_NS."""
        self._next_sample_ns = self._loop.now_ns()
        self._began_ns = self._next_sample_ns - POLL_NS + phase_ns
        self._look()

    def _look(self) -> None:
        watched, now = self._watched, self._loop.now_ns()
        watched.look()
        if now >= self._next_sample_ns:
            watched.sample()
            self._told = not watched.goes_on()
            self._next_sample_ns = self._next(SAMPLE_NS, now + 1)
        if watched.busy():
            self._timer.set(self._next(POLL_NS, now + 1))
        elif not (self._summarised and self._told):
            self._timer.set(self._next_sample_ns)

    def stir(self) -> None:
        """Something may have begun: look again when an agent would."""
        if self._began_ns is None or not self._watched.goes_on():
            return
        self.note_change()
        if self._watched.busy():
            self._timer.set_by(self._next(POLL_NS, self._loop.now_ns()))

    def note_change(self) -> None:
        """The counters are others than before: sample them at the next time for that."""
        if self._began_ns is None:
            return
        self._told = False
        if not self._timer.is_set:
            due = self._next(SAMPLE_NS, self._loop.now_ns())
            self._next_sample_ns = max(self._next_sample_ns, due)
        self._timer.set_by(self._next_sample_ns)

    def _next(self, step: int, since: int) -> int:
        """Return the first time from ``since`` on that is whole steps after the begin."""
        began = self._began_ns or 0
        return began - (began - since) // step * step
