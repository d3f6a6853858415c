"""Finds the value of a key at which an outcome changes, by halving. Pure: the caller makes runs.

The outcome is taken to change once along the key. At a value it is the outcome of most seeds. Near
the change chance decides; the two edges are the nearest values at which all further runs agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crunchbed.experiments.sweep.quantity import Range

DEFAULT_TOLERANCE = 0.05  # share of a threshold within which it is searched for


def outcome_of(values: Sequence[float]) -> bool | None:
    """Return whether a figure is above 0 in most runs; None where nothing was measured."""
    if not values:
        return None
    return sum(value > 0 for value in values) * 2 > len(values)


@dataclass(frozen=True)
class Threshold:
    """What a search found."""

    below: str | None  # last value known before the change; None where there is no change
    above: str | None  # first value known after the change; None where there is no change
    rises: bool | None  # whether the figure is above 0 from ``above`` on, else up to ``below``
    reason: str | None = None  # why there is no threshold


class Search:
    """One search: run the value that ``next`` returns, call ``learn``, until ``next`` is None."""

    def __init__(
        self,
        span: Range,
        tolerance: float = DEFAULT_TOLERANCE,
        accepts: Callable[[str], bool] = lambda _value: True,
    ) -> None:
        """Begin a search in ``span``, of values that ``accepts`` says can be run.

        ``tolerance`` is how far the two sides may be apart, as a share of the upper value.
        """
        self._span = span
        self._tolerance = tolerance
        self._known: dict[int, bool | None] = {}
        self._accepts = accepts

    def next(self) -> str | None:
        """Return the value to run now; None once the search is over."""
        step = self._next_step()
        return None if step is None else self._span.show(step)

    def learn(self, outcome: bool | None) -> None:
        """Take the outcome of the value that ``next`` returns."""
        step = self._next_step()
        if step is not None:
            self._known[step] = outcome

    def _next_step(self) -> int | None:
        for end in (self._span.low, self._span.high):
            if end not in self._known:
                return end
        first, last = self._known[self._span.low], self._known[self._span.high]
        if first is None or last is None or first == last or None in self._known.values():
            return None
        low, high = self._sides()
        if high - low <= max(1, int(high * self._tolerance)):
            return None
        between = replace(self._span, low=low, high=high).middles()
        return next((step for step in between if self._accepts(self._span.show(step))), None)

    def _sides(self) -> tuple[int, int]:
        first = self._known[self._span.low]
        low = max(step for step, outcome in self._known.items() if outcome == first)
        high = min(step for step, outcome in self._known.items() if outcome != first)
        return low, high

    def result(self) -> Threshold:
        """Return what is known now."""
        known, show = self._known, self._span.show
        if None in known.values():
            step = next(step for step, outcome in known.items() if outcome is None)
            return Threshold(None, None, None, f"no valid run at {show(step)}")
        first, last = known.get(self._span.low), known.get(self._span.high)
        if first is None or last is None:
            return Threshold(None, None, None, "not searched")
        if first == last:
            word = "above 0" if first else "0"
            ends = f"{show(self._span.low)} and {show(self._span.high)}"
            return Threshold(None, None, None, f"the figure is {word} at both {ends}")
        low, high = self._sides()
        return Threshold(show(low), show(high), last)

    def edges(self) -> tuple[Edge, Edge]:
        """Return searches for the two edges of the change; only where there is a change."""
        low, high = self._sides()
        width = max(1, int(high * self._tolerance))
        first = bool(self._known[self._span.low])
        return (
            Edge(self._span, low, -width, wanted=first, accepts=self._accepts),
            Edge(self._span, high, width, wanted=not first, accepts=self._accepts),
        )


class Edge:
    """Goes away from a change until every run has the outcome of its side; ``found`` is that value.

    Run the value that ``next`` returns, call ``learn``, until ``next`` is None. Each stride is
    twice as long as the one before. ``found`` stays None where the range ends first.
    """

    def __init__(
        self,
        span: Range,
        start: int,
        stride: int,
        *,
        wanted: bool,
        accepts: Callable[[str], bool] = lambda _value: True,
    ) -> None:
        """Begin at ``start``, with strides in steps, below 0 towards the lower end.

        ``wanted`` is whether the figure is above 0 on this side; ``accepts``, whether a value can
        be run.
        """
        self._span = span
        self._stride = stride
        self._wanted = wanted
        self._accepts = accepts
        self._step: int | None = start
        self.found: str | None = None

    def next(self) -> str | None:
        """Return the value to run now; None once the edge is found, or the range ends."""
        return None if self._step is None else self._span.show(self._step)

    def learn(self, values: Sequence[float]) -> None:
        """Take the figure in the valid runs of the value that ``next`` returns."""
        value = self.next()
        if values and all((one > 0) is self._wanted for one in values):
            self.found, self._step = value, None
        elif self._step is not None:
            self._step = self._further(self._step)

    def _further(self, step: int) -> int | None:
        end = self._span.low if self._stride < 0 else self._span.high
        while step != end:
            step = self._span.away(step, self._stride)
            self._stride *= 2
            if self._accepts(self._span.show(step)):
                return step
        return None
