"""Units in expectations: seconds go with seconds, pages with pages, counts with counts.

A number without a unit goes with anything: ``io_p99_seconds < 2`` is two seconds.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from crunchbed.checks.figures import spec_of
from crunchbed.expect.tree import Comparison, Name, Node, Number
from crunchbed.scenario.units import DURATIONS, SIZES, duration_ns, size_bytes
from reserve_agent.contract.packets import PAGE_BYTES

_HINT: Final = "a duration such as 200ms, pages such as 64pages, or a size such as 1MiB"

Unit = tuple[tuple[str, int], ...]
"""Base units with their exponents; empty for a count."""


def quantity(text: str) -> Number:
    """Return a number with or without a unit.

    Raises:
        ValueError: the unit is unknown, or the value is no whole number of the smallest one.
    """
    unit = text.lstrip("0123456789.")
    if not unit:
        return Number(float(text) if "." in text else int(text))
    if unit in DURATIONS:
        return Number(duration_ns(text) / DURATIONS["s"], "s")
    if unit == "pages":
        return Number(float(text.removesuffix(unit)), "pages")
    if unit in SIZES:
        size = size_bytes(text)
        if size % PAGE_BYTES:
            raise ValueError(f"{text} is not a multiple of a page, 4KiB")
        return Number(size // PAGE_BYTES, "pages")
    raise ValueError(f"{text} is not a number or {_HINT}")


def mismatch(one: Comparison) -> str | None:
    """Return in words what is compared or added up though the units differ; None if nothing is."""
    try:
        _joined(_unit(one.left), _unit(one.right), "compared with")
    except ValueError as error:
        return str(error)
    return None


def _unit(node: Node) -> Unit | None:
    """The unit of a tree; None where any will do."""
    if isinstance(node, Number):
        return None if node.unit is None else ((node.unit, 1),)
    if isinstance(node, Name):
        return _of_figure(node.figure)
    left, right = _unit(node.left), _unit(node.right)
    if node.operator in "+-":
        return _joined(left, right, "added to" if node.operator == "+" else "taken with")
    if left is None and right is None:
        return None
    return _product(left or (), right or (), -1 if node.operator == "/" else 1)


def _of_figure(figure: str) -> Unit:
    unit = spec_of(figure).unit
    if unit == "1/s":
        return (("s", -1),)
    return ((unit, 1),) if unit else ()


def _joined(left: Unit | None, right: Unit | None, how: str) -> Unit | None:
    if left is not None and right is not None and left != right:
        raise ValueError(f"{_words(left)} are {how} {_words(right)}")
    return right if left is None else left


def _product(left: Unit, right: Unit, sign: int) -> Unit:
    powers = Counter(dict(left))
    for unit, power in right:
        powers[unit] += sign * power
    return tuple(sorted((unit, power) for unit, power in powers.items() if power))


def _words(unit: Unit) -> str:
    names = {"s": "seconds", "pages": "pages"}
    over = [names[name] + (f"^{power}" if power > 1 else "") for name, power in unit if power > 0]
    under = [
        names[name] + (f"^{-power}" if power < -1 else "") for name, power in unit if power < 0
    ]
    text = " x ".join(over) or "counts"
    return f"{text} per {' and '.join(under)}" if under else text
