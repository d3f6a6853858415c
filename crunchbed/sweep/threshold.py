"""Finds where along one key an outcome turns, by halving. Pure: it asks, somebody else runs.

The outcome is taken to turn once. A point's outcome is that of most of its seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from crunchbed.sweep.quantity import Range

DEFAULT_TOLERANCE = 0.05
"""Share of a threshold within which it is known well enough."""


def outcome_of(values: Sequence[float]) -> bool | None:
    """Whether a figure is above 0 in most runs; None where nothing was measured."""
    if not values:
        return None
    return sum(value > 0 for value in values) * 2 > len(values)


@dataclass(frozen=True)
class Threshold:
    """What a search found.

    Attributes:
        below: Last value known before the turn.
        above: First value known after it; None with ``below`` where it does not turn at all.
        rises: Whether the figure is above 0 from ``above`` on, or up to ``below``.
        reason: Why there is none.
    """

    below: str | None
    above: str | None
    rises: bool | None
    reason: str | None = None


class Search:
    """One search. Ask ``next``, run that value, tell ``learn``; until ``next`` is None."""

    def __init__(
        self,
        span: Range,
        tolerance: float = DEFAULT_TOLERANCE,
        accepts: Callable[[str], bool] = lambda _value: True,
    ) -> None:
        """One from end to end of ``span``.

        Args:
            span: Where to search.
            tolerance: Share of the upper value that the two sides may lie apart.
            accepts: Whether a value between the ends can be run at all.
        """
        self._span = span
        self._tolerance = tolerance
        self._known: dict[int, bool | None] = {}
        self._accepts = accepts

    def next(self) -> str | None:
        """The value to run now; None once all that is wanted is known."""
        step = self._next_step()
        return None if step is None else self._span.show(step)

    def learn(self, outcome: bool | None) -> None:
        """The outcome of the value that ``next`` names."""
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
        """What is known now."""
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

    @property
    def outcomes(self) -> Mapping[str, bool | None]:
        """What was learnt, by value."""
        return {self._span.show(step): outcome for step, outcome in sorted(self._known.items())}
