"""The form of an expectation, such as ``memalloc.io_p99_seconds < none.io_p99_seconds / 10``.

Text becomes a small tree of numbers, names and operations; nothing in it is ever executed.
"""

from __future__ import annotations

import functools
from typing import Final

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from crunchbed.checks.figures import NAMES, PHASE_NAMES, PHASES
from crunchbed.expect.tree import Expectation, Name, Node, Number, Operation
from crunchbed.expect.units import mismatch, quantity
from crunchbed.scenario.kinds import did_you_mean
from reserve_agent.contract.packets import POLICIES
from reserve_agent.errors import BadInput

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


@functools.cache
def parse(text: str, known: tuple[str, ...] = NAMES) -> Expectation:
    """Read one expectation.

    Args:
        text: A comparison.
        known: Figures that it may name without a phase.

    Raises:
        BadInput: the form is wrong or a name is unknown; the text completes "got ...".
    """
    line = " ".join(text.split())
    if len(line) > MAX_LENGTH:
        raise BadInput(f"one of {len(line)} characters, over {MAX_LENGTH}")
    try:
        expectation = _Build(line, known).transform(_parser().parse(line))
    except UnexpectedInput as error:
        raise BadInput(f"{line!r}, not understood {_place(error, line)}") from None
    except VisitError as error:
        raise BadInput(f"{line!r}, where {error.orig_exc}") from None
    if not isinstance(expectation, Expectation):
        raise TypeError(expectation)
    if next(expectation.names(), None) is None:
        raise BadInput(f"{line!r}, which names no figure")
    if (wrong := mismatch(expectation)) is not None:
        raise BadInput(f"{line!r}, where {wrong}")
    return expectation


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


def _place(error: UnexpectedInput, line: str) -> str:
    position = error.pos_in_stream
    if position is None or not 0 <= position < len(line) or getattr(error, "token", "x") == "":
        return "at its end"
    return f"at {line[position : position + 20]!r}"


@v_args(inline=True)
class _Build(Transformer[Token, Expectation]):
    """Turns the parser's tree into ours, and refuses what has no meaning."""

    def __init__(self, line: str, known: tuple[str, ...]) -> None:
        super().__init__()
        self._line = line
        self._known = known

    def start(self, left: Node, operator: Token, right: Node) -> Expectation:
        return Expectation(self._line, left, str(operator), right)

    def operation(self, left: Node, operator: Token, right: Node) -> Operation:
        return Operation(left, str(operator), right)

    def negative(self, value: Node) -> Operation:
        return Operation(Number(0), "-", value)

    def number(self, token: Token) -> Number:
        return quantity(str(token))

    def name(self, token: Token) -> Name:
        head, _, tail = token.partition(".")
        if head in POLICIES and tail:
            return Name(head, _figure(tail, self._known))
        if tail and head not in ("misses_by_cause", *PHASES):
            known = (*POLICIES, *PHASES)
            raise ValueError(
                f"{head} is no policy; known: {', '.join(POLICIES)}{did_you_mean(head, known)}; "
                f"and no phase: {', '.join(PHASES)}"
            )
        return Name(None, _figure(str(token), self._known))


def _figure(name: str, known: tuple[str, ...]) -> str:
    phase, _, figure = name.partition(".")
    if phase in PHASES:
        if figure not in PHASE_NAMES:
            hint = did_you_mean(figure, PHASE_NAMES) or f"; known: {', '.join(PHASE_NAMES)}"
            raise ValueError(f"{figure or 'nothing'} is no figure of the phase {phase}{hint}")
    elif name not in known:
        hint = did_you_mean(name, known) or f"; known: {', '.join(known)}"
        raise ValueError(f"{name} is no figure{hint}")
    return name
