"""The form of an expectation, such as ``memalloc.io_p99_seconds < none.io_p99_seconds / 10``.

Text becomes a small tree of numbers, names and operations; nothing in it is ever executed.
The grammar, with blanks allowed between any two words::

    expectation: comparison ("or" comparison)*
    comparison:  sum ("==" | "!=" | "<=" | ">=" | "<" | ">") sum
    sum:         product (("+" | "-") product)*
    product:     factor (("*" | "/") factor)*
    factor:      QUANTITY | NAME | "-" factor | "(" sum ")"
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import Final

from crunchbed.checks.figures import NAMES, PHASE_NAMES, PHASES
from crunchbed.expect.quantities import mismatch, quantity
from crunchbed.expect.tree import (
    Comparison,
    Expectation,
    Name,
    Node,
    Number,
    Operation,
    divides_by_zero,
)
from crunchbed.scenario.kinds import did_you_mean
from reserve_agent.contract.packets import POLICIES
from reserve_agent.errors import BadInput

MAX_LENGTH: Final = 200
"""Characters; bounds the depth of a tree, and so of the recursion over it."""

_NODE: Final = re.compile(r"n[1-9][0-9]{0,3}")
_OF_NO_NODE: Final = ("quorum_lost_seconds",)

_MOST_LISTED: Final = 10
_LONGEST_WORD: Final = 40
"""Figures that a message lists; docs/scenario-format.md has all."""

_COMPARE: Final = re.compile(r"[=!]=|[<>]=?")
_OR: Final = re.compile(r"or\b")
_ADD: Final = re.compile(r"[+-]")
_MULTIPLY: Final = re.compile(r"[*/]")
_MINUS: Final = re.compile(r"-")
_OPEN: Final = re.compile(r"\(")
_CLOSE: Final = re.compile(r"\)")
_END: Final = re.compile(r"$")
_WORD: Final = re.compile(
    r"[0-9]+(\.[0-9]+)?[A-Za-z]*"  # a quantity
    r"|[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"  # a name
)


@functools.cache
def parse(text: str, known: tuple[str, ...] = NAMES) -> Expectation:
    """Read one expectation; ``known`` are the figures that it may name without a phase.

    Raises:
        BadInput: the form is wrong or a name is unknown; the text completes "got ...".
    """
    line = " ".join(text.split())
    if len(line) > MAX_LENGTH:
        raise BadInput(f"one of {len(line)} characters, over {MAX_LENGTH}")
    try:
        expectation = _Reader(line, known).expectation()
    except ValueError as error:
        raise BadInput(f"{line!r}, {error}") from None
    for one in expectation.either:
        if next(one.names(), None) is None:
            raise BadInput(f"{line!r}, which names no figure")
        if divides_by_zero(one.left) or divides_by_zero(one.right):
            raise BadInput(f"{line!r}, which divides by 0 and can never be decided")
        if (wrong := mismatch(one)) is not None:
            raise BadInput(f"{line!r}, where {wrong}")
    return expectation


def steady(text: str, phase: str) -> Expectation:
    """Read a comparison, such as ``io_errors == 0``, as one of the figures of ``phase``.

    Raises:
        BadInput: as ``parse``; or it names a policy, a phase, or a figure that a phase has not.
    """
    read = parse(text, PHASE_NAMES)
    for name in read.names():
        if name.policy is not None:
            raise BadInput(f"{read.text!r}, which names the policy {name.policy}")
        if name.node is not None:
            raise BadInput(f"{read.text!r}, which names the node {name.node}")
        if name.figure not in PHASE_NAMES:
            raise BadInput(f"{read.text!r}, which names a phase: {name.figure}")
    either = tuple(
        Comparison(_moved(one.left, phase), one.operator, _moved(one.right, phase))
        for one in read.either
    )
    return Expectation(f"{phase}: {read.text}", either)


def _moved(node: Node, phase: str) -> Node:
    if isinstance(node, Name):
        return replace(node, figure=f"{phase}.{node.figure}")
    if isinstance(node, Operation):
        return replace(node, left=_moved(node.left, phase), right=_moved(node.right, phase))
    return node


class _Reader:
    """Reads a line from left to right, a method for each rule of the grammar."""

    def __init__(self, line: str, known: tuple[str, ...]) -> None:
        self._line = line
        self._known = known
        self._at = 0
        self._unknown: ValueError | None = None

    def expectation(self) -> Expectation:
        """Read the whole line; ValueError says what is wrong with its form, or else its words."""
        either = [self._comparison()]
        while self._take(_OR):
            either.append(self._comparison())
        self._need(_END)
        if self._unknown is not None:
            raise ValueError(f"where {self._unknown}")
        return Expectation(self._line, tuple(either))

    def _comparison(self) -> Comparison:
        left = self._sum()
        operator = self._need(_COMPARE)
        return Comparison(left, operator, self._sum())

    def _sum(self) -> Node:
        left = self._product()
        while operator := self._take(_ADD):
            left = Operation(left, operator, self._product())
        return left

    def _product(self) -> Node:
        left = self._factor()
        while operator := self._take(_MULTIPLY):
            left = Operation(left, operator, self._factor())
        return left

    def _factor(self) -> Node:
        if self._take(_MINUS):
            return Operation(Number(0), "-", self._factor())
        if self._take(_OPEN):
            inner = self._sum()
            self._need(_CLOSE)
            return inner
        word = self._need(_WORD)
        try:
            return quantity(word) if word[0].isdigit() else _name(word, self._known)
        except ValueError as error:  # is told only if the form of the whole line is right
            self._unknown = self._unknown or error
            return Number(0)

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        """Read what matches next, and the blanks in front of it; None where it does not."""
        begin = len(self._line) - len(self._line[self._at :].lstrip())
        match = pattern.match(self._line, begin)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def _need(self, pattern: re.Pattern[str]) -> str:
        found = self._take(pattern)
        if found is None:
            left = self._line[self._at :].lstrip()
            place = f"at {left[:20]!r}" if left else "at its end"
            raise ValueError(f"not understood {place}")
        return found


def _name(word: str, known: tuple[str, ...]) -> Name:
    head, _, tail = word.partition(".")
    if head in POLICIES and tail:
        return replace(_name_of_run(tail, known), policy=head)
    return _name_of_run(word, known)


def _name_of_run(word: str, known: tuple[str, ...]) -> Name:
    head, _, tail = word.partition(".")
    if _NODE.fullmatch(head) and tail:
        if tail.partition(".")[0] in PHASES or tail in _OF_NO_NODE:
            raise ValueError(
                f"{_shown(tail)} is a figure of all nodes, and {_shown(head)} has none"
            )
        return Name(None, _figure(tail, known), head)
    if tail and head not in ("misses_by_cause", *PHASES):
        hint = did_you_mean(head, (*POLICIES, *PHASES))
        raise ValueError(
            f"{_shown(head)} is no policy; known: {', '.join(POLICIES)}{hint}; "
            f"and no phase: {', '.join(PHASES)}"
        )
    return Name(None, _figure(word, known))


def _figure(name: str, known: tuple[str, ...]) -> str:
    phase, _, figure = name.partition(".")
    if phase in PHASES:
        if figure not in PHASE_NAMES:
            hint = did_you_mean(figure, PHASE_NAMES) or _listed(PHASE_NAMES)
            raise ValueError(
                f"{_shown(figure) or 'nothing'} is no figure of the phase {phase}{hint}"
            )
    elif name not in known:
        hint = did_you_mean(name, known) or _listed(known)
        raise ValueError(f"{_shown(name)} is no figure{hint}")
    return name


def _shown(word: str) -> str:
    """Return a word as a message repeats it; the line is quoted as a whole before."""
    return word if len(word) <= _LONGEST_WORD else f"{word[: _LONGEST_WORD - 3]}..."


def _listed(known: tuple[str, ...]) -> str:
    left = len(known) - _MOST_LISTED
    more = f" and {left} more in docs/scenario-format.md" if left > 0 else ""
    return f"; known: {', '.join(known[:_MOST_LISTED])}{more}"
