"""An expectation as a tree of numbers, names and operations, and the arithmetic of the tree."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Number:
    """A constant: durations are in seconds, sizes in pages.

    ``unit`` is ``s`` or ``pages``, or None where none was given.
    """

    value: float
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """A figure of one policy's run; of every policy's where ``policy`` is None.

    ``figure`` has the phase in front, if one is named: ``after.io_p99_seconds``. Without a
    ``node`` it is that of all nodes.
    """

    policy: str | None
    figure: str
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """``left`` and ``right`` joined by one of ``+ - * /``."""

    left: Node
    operator: str
    right: Node


Node = Number | Name | Operation


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two trees that are compared."""

    left: Node
    operator: str
    right: Node

    def names(self) -> Iterator[Name]:
        """Yield every name, left to right."""
        yield from _names(self.left)
        yield from _names(self.right)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Comparisons of which one is to hold, with the text they were read from."""

    text: str
    either: tuple[Comparison, ...]

    def names(self) -> Iterator[Name]:
        """Yield every name, left to right."""
        for one in self.either:
            yield from one.names()

    @property
    def policies(self) -> frozenset[str]:
        """The policies it names; it can be judged only where all of them were run."""
        return frozenset(name.policy for name in self.names() if name.policy is not None)

    @property
    def unqualified(self) -> bool:
        """Whether it holds a name without a policy, and so must hold for every policy run."""
        return any(name.policy is None for name in self.names())


def _names(node: Node) -> Iterator[Name]:
    if isinstance(node, Name):
        yield node
    elif isinstance(node, Operation):
        yield from _names(node.left)
        yield from _names(node.right)


_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def joined(left: float | None, sign: str, right: float | None) -> float | None:
    """Return the value of an operation; None where a part has none, and for a division by 0."""
    if left is None or right is None or (sign == "/" and right == 0):
        return None
    return _ARITHMETIC[sign](left, right)


def divides_by_zero(node: Node) -> bool:
    """Return whether a tree divides by 0 whatever its figures are."""
    if not isinstance(node, Operation):
        return False
    zero = node.operator == "/" and _always(node.right) == 0
    return zero or divides_by_zero(node.left) or divides_by_zero(node.right)


def _always(node: Node) -> float | None:
    """Return the value that a tree has whatever its figures are; None where they decide it."""
    if isinstance(node, Number):
        return node.value
    if not isinstance(node, Operation):
        return None
    left, right = _always(node.left), _always(node.right)
    if node.operator == "-" and node.left == node.right:
        return 0
    if (node.operator == "*" and 0 in (left, right)) or (node.operator == "/" and left == 0):
        return 0
    return joined(left, node.operator, right)
