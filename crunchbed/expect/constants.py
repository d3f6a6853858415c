"""The arithmetic of expectations, and what of it is known before any run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

from crunchbed.expect.tree import Node, Number, Operation

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
