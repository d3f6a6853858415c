"""The form of an expectation, such as ``memalloc.io_p99_seconds < none.io_p99_seconds / 10``.

Text becomes a small tree of numbers, names and operations; nothing in it is ever executed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from crunchbed.checks.figures import NAMES
from crunchbed.scenario.kinds import did_you_mean
from crunchbed.scenario.units import DURATION_HINT, DURATIONS, duration_ns
from reserve_agent.errors import BadInput
from reserve_agent.policies import POLICIES

MAX_LENGTH: Final = 200
"""Characters; bounds the depth of a tree, and so of the recursion over it."""

_GRAMMAR: Final = r"""
    start: sum COMPARE sum
    ?sum: product | sum ADD product -> operation
    ?product: factor | product MULTIPLY factor -> operation
    ?factor: QUANTITY -> number | "-" factor -> negative | NAME -> name | "(" sum ")"
    COMPARE: "==" | "!=" | "<=" | ">=" | "<" | ">"
    ADD: "+" | "-"
    MULTIPLY: "*" | "/"
    QUANTITY: /[0-9]+(\.[0-9]+)?[A-Za-z]*/
    NAME: /[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*/
    %ignore /[ \t\n]+/
"""


@dataclass(frozen=True, slots=True)
class Number:
    """A constant; durations are in seconds."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A figure of one policy's run; of every policy's where ``policy`` is None."""

    policy: str | None
    figure: str


@dataclass(frozen=True, slots=True)
class Operation:
    """``left`` and ``right`` joined by one of ``+ - * /``."""

    left: Node
    operator: str
    right: Node


Node = Number | Name | Operation


@dataclass(frozen=True, slots=True)
class Expectation:
    """A comparison of two trees, with the text it was read from."""

    text: str
    left: Node
    operator: str
    right: Node

    def names(self) -> Iterator[Name]:
        """Yield every name, left to right."""
        yield from _names(self.left)
        yield from _names(self.right)

    @property
    def policies(self) -> frozenset[str]:
        """The policies it names; it can be judged only where all of them were run."""
        return frozenset(name.policy for name in self.names() if name.policy is not None)

    @property
    def unqualified(self) -> bool:
        """Whether it holds a name without a policy, and so must hold for every policy run."""
        return any(name.policy is None for name in self.names())


@functools.cache
def parse(text: str) -> Expectation:
    """Read one expectation.

    Raises:
        BadInput: the form is wrong or a name is unknown; the text completes "got ...".
    """
    line = " ".join(text.split())
    if len(line) > MAX_LENGTH:
        raise BadInput(f"one of {len(line)} characters, over {MAX_LENGTH}")
    try:
        expectation = _Build(line).transform(_parser().parse(line))
    except UnexpectedInput as error:
        raise BadInput(f"{line!r}, not understood {_place(error, line)}") from None
    except VisitError as error:
        raise BadInput(f"{line!r}, where {error.orig_exc}") from None
    if not isinstance(expectation, Expectation):
        raise TypeError(expectation)
    if next(expectation.names(), None) is None:
        raise BadInput(f"{line!r}, which names no figure")
    return expectation


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


def _place(error: UnexpectedInput, line: str) -> str:
    position = error.pos_in_stream
    if position is None or not 0 <= position < len(line) or getattr(error, "token", "x") == "":
        return "at its end"
    return f"at {line[position : position + 20]!r}"


def _names(node: Node) -> Iterator[Name]:
    if isinstance(node, Name):
        yield node
    elif isinstance(node, Operation):
        yield from _names(node.left)
        yield from _names(node.right)


@v_args(inline=True)
class _Build(Transformer[Token, Expectation]):
    """Turns the parser's tree into ours, and refuses what has no meaning."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self._line = line

    def start(self, left: Node, operator: Token, right: Node) -> Expectation:
        return Expectation(self._line, left, str(operator), right)

    def operation(self, left: Node, operator: Token, right: Node) -> Operation:
        return Operation(left, str(operator), right)

    def negative(self, value: Node) -> Operation:
        return Operation(Number(0), "-", value)

    def number(self, token: Token) -> Number:
        if token[-1].isdigit():
            return Number(float(token) if "." in token else int(token))
        unit = token.lstrip("0123456789.")
        if unit not in DURATIONS:
            raise ValueError(f"{token} is not a number or {DURATION_HINT}")
        return Number(duration_ns(str(token)) / DURATIONS["s"])

    def name(self, token: Token) -> Name:
        head, _, tail = token.partition(".")
        if head in POLICIES and tail:
            return Name(head, _figure(tail))
        if tail and head != "misses_by_cause":
            raise ValueError(
                f"{head} is no policy; known: {', '.join(POLICIES)}{did_you_mean(head, POLICIES)}"
            )
        return Name(None, _figure(str(token)))


def _figure(name: str) -> str:
    if name not in NAMES:
        hint = did_you_mean(name, NAMES) or f"; known: {', '.join(NAMES)}"
        raise ValueError(f"{name} is no figure{hint}")
    return name
