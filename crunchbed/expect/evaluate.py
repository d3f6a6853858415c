"""Judges expectations by the totals of runs: true, false or not known."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from crunchbed.checks.figures import Figures
from crunchbed.expect.constants import joined
from crunchbed.expect.grammar import parse, steady
from crunchbed.expect.tree import Expectation, Name, Node, Number

_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MOST_SHOWN: Final = 8
"""Figures that a message about one expectation names."""


class Outcome(BaseModel):
    """The judgement of one expectation.

    ``holds`` is None when a policy it names was not run, or a figure has no value. ``values`` are
    the figures it was judged by, such as ``{"none.nodes_ejected": 1}``.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    holds: bool | None
    values: dict[str, float | None]

    @property
    def shown(self) -> str:
        """The figures that the judgement rests on, as text; the first of them where many."""
        listed = [
            f"{name} = {'nothing' if value is None else f'{value:.6g}'}"
            for name, value in self.values.items()
        ]
        left = len(listed) - _MOST_SHOWN
        return ", ".join(listed[:_MOST_SHOWN]) + (f" and {left} more" if left > 0 else "")


def evaluate(texts: Iterable[str], totals: Mapping[str, Figures]) -> list[Outcome]:
    """Judge each expectation by the ``totals`` of one run per policy, by the policy's name."""
    return [_outcome(parse(text), totals) for text in texts]


def steady_outcomes(
    texts: Iterable[str], policy: str, totals: Figures
) -> tuple[list[Outcome], list[Outcome]]:
    """Judge what a steady cluster is like: before the fault, and after the recovery.

    Each text is judged twice, by the figures of ``before`` and by those of ``after``.
    """
    listed = list(texts)
    before, after = (
        [_outcome(steady(text, phase), {policy: totals}) for text in listed]
        for phase in ("before", "after")
    )
    return before, after


def applies_to(text: str, policy: str) -> bool:
    """Return whether a run of ``policy`` alone decides this expectation."""
    return parse(text).policies <= {policy}


def _outcome(expectation: Expectation, totals: Mapping[str, Figures]) -> Outcome:
    bindings = list(totals) if expectation.unqualified else [""]
    values: dict[str, float | None] = {}
    verdicts = [_holds(expectation, policy, totals, values) for policy in bindings]
    holds: bool | None = all(verdicts)
    if False in verdicts:
        holds = False
    elif None in verdicts or not verdicts:
        holds = None
    return Outcome(text=expectation.text, holds=holds, values=values)


def _holds(
    expectation: Expectation,
    policy: str,
    totals: Mapping[str, Figures],
    values: dict[str, float | None],
) -> bool | None:
    for name in expectation.names():
        of = name.policy or policy
        values[f"{of}.{name.figure}"] = totals[of].value(name.figure) if of in totals else None
    left = _value(expectation.left, policy, values)
    right = _value(expectation.right, policy, values)
    if left is None or right is None:
        return None
    return _COMPARISONS[expectation.operator](left, right)


def _value(node: Node, policy: str, values: Mapping[str, float | None]) -> float | None:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Name):
        return values[f"{node.policy or policy}.{node.figure}"]
    left, right = _value(node.left, policy, values), _value(node.right, policy, values)
    return joined(left, node.operator, right)
