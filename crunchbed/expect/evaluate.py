"""Judges expectations by the totals of runs: true, false or not known."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from crunchbed.checks.figures import Figures
from crunchbed.expect.grammar import parse, steady
from crunchbed.expect.tree import Comparison, Expectation, Name, Node, Number, joined

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


NodeFigures = Mapping[str, Mapping[str, Figures]]
"""The figures of each node of a run, by the run's policy and the node's name."""


def evaluate(
    texts: Iterable[str], totals: Mapping[str, Figures], nodes: NodeFigures | None = None
) -> list[Outcome]:
    """Judge each expectation by one run per policy.

    ``totals`` has the figures of all nodes by the policy's name; what is expected of a node that
    is not in ``nodes`` is not known.
    """
    return [_outcome(parse(text), _Runs(totals, nodes or {})) for text in texts]


def steady_outcomes(
    texts: Iterable[str], policy: str, totals: Figures
) -> tuple[list[Outcome], list[Outcome]]:
    """Judge what a steady cluster is like: before the fault, and after the recovery.

    Each text is judged twice, by the figures of ``before`` and by those of ``after``.
    """
    listed = list(texts)
    before, after = (
        [_outcome(steady(text, phase), _Runs({policy: totals}, {})) for text in listed]
        for phase in ("before", "after")
    )
    return before, after


def applies_to(text: str, policy: str) -> bool:
    """Return whether a run of ``policy`` alone decides this expectation."""
    return parse(text).policies <= {policy}


class _Runs(NamedTuple):
    totals: Mapping[str, Figures]
    nodes: NodeFigures

    def value(self, policy: str, name: Name) -> float | None:
        """Return a figure; None where the policy was not run, or nothing was measured."""
        run = self.nodes.get(policy, {}) if name.node else self.totals
        found = run.get(name.node or policy)
        return None if found is None else found.value(name.figure)


def _outcome(expectation: Expectation, runs: _Runs) -> Outcome:
    bindings = list(runs.totals) if expectation.unqualified else [""]
    values: dict[str, float | None] = {}
    verdicts = [_one_holds(expectation, policy, runs, values) for policy in bindings]
    holds: bool | None = all(verdicts)
    if False in verdicts:
        holds = False
    elif None in verdicts or not verdicts:
        holds = None
    return Outcome(text=expectation.text, holds=holds, values=values)


def _one_holds(
    expectation: Expectation, policy: str, runs: _Runs, values: dict[str, float | None]
) -> bool | None:
    """Whether one of the comparisons holds; not known where none does and one is not known."""
    for name in expectation.names():
        values[_key(name, policy)] = runs.value(name.policy or policy, name)
    verdicts = [_holds(one, policy, values) for one in expectation.either]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _holds(one: Comparison, policy: str, values: Mapping[str, float | None]) -> bool | None:
    left, right = _value(one.left, policy, values), _value(one.right, policy, values)
    if left is None or right is None:
        return None
    return _COMPARISONS[one.operator](left, right)


def _key(name: Name, policy: str) -> str:
    return ".".join(part for part in (name.policy or policy, name.node, name.figure) if part)


def _value(node: Node, policy: str, values: Mapping[str, float | None]) -> float | None:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Name):
        return values[_key(node, policy)]
    left, right = _value(node.left, policy, values), _value(node.right, policy, values)
    return joined(left, node.operator, right)
