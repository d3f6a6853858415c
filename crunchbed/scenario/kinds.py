"""The kinds of value that a scenario key can have, each with the message for a wrong value.

A wrong value raises a ``PydanticCustomError`` whose context holds ``expected`` (and ``got`` or
``key`` where pydantic cannot know them); ``problems`` turns that into the one line a user sees.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Final, NoReturn

from pydantic import BeforeValidator, PlainSerializer
from pydantic_core import PydanticCustomError

from crunchbed.scenario import units
from reserve_agent.errors import BadInput

MAX_COUNT: Final = 2**31 - 1


def reject(expected: str, **context: str) -> NoReturn:
    """Refuse a value; ``expected`` completes "expected ..."."""
    raise PydanticCustomError("scenario", "{expected}", {"expected": expected, **context})


def contradict(found: Sequence[tuple[str, str, str]]) -> NoReturn:
    """Refuse keys that do not go together: of each its path, what was expected, what was got."""
    raise PydanticCustomError("contradictions", "contradictions", {"found": list(found)})


def whole(what: str, low: int, high: int = MAX_COUNT) -> BeforeValidator:
    """Accept a whole number of ``what`` within the bounds, both included."""
    bounds = f">= {low}" if high == MAX_COUNT else f"from {low} to {high}"
    expected = f"a whole number{f' of {what}' if what else ''} {bounds}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            reject(expected)
        if value > high >= MAX_COUNT:
            reject(f"{expected}, at most {high}")
        if not low <= value <= high:
            reject(expected)
        return value

    return BeforeValidator(check)


def whole_or_auto(what: str, low: int) -> BeforeValidator:
    """Accept a whole number of ``what``, or ``auto``."""

    def check(value: object) -> int | str:
        if value == "auto":
            return "auto"
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= MAX_COUNT:
            reject(f"auto or a whole number of {what} >= {low}")
        return value

    return BeforeValidator(check)


def choice(names: Sequence[str]) -> BeforeValidator:
    """Accept one of ``names``."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            reject(f"one of {', '.join(names)}{did_you_mean(value, names)}")
        return value

    return BeforeValidator(check)


def subset(names: Sequence[str], least: int = 0) -> BeforeValidator:
    """Accept a list of distinct ``names``, put in their order, with ``least`` of them or more."""
    expected = f"a list of distinct names out of {', '.join(names)}"
    expected += f", at least {least}" if least else ""

    def check(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            reject(expected)
        if len(set(value)) != len(value) or not set(value) <= set(names) or len(value) < least:
            reject(expected)
        return tuple(name for name in names if name in value)

    return BeforeValidator(check)


def text(expected: str, pattern: str | None = None) -> BeforeValidator:
    """Accept text that is not empty, as one line; ``pattern`` must match all of it."""

    def check(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            reject(expected)
        line = " ".join(value.split())
        if pattern is not None and re.fullmatch(pattern, line, re.ASCII) is None:
            reject(expected)
        return line

    return BeforeValidator(check)


def version(expected: str) -> BeforeValidator:
    """Accept a version such as ``6.1`` or ``6.1-cloud``; without quotes YAML has a number there."""
    check = text(expected, r"[0-9A-Za-z][\w.+-]*").func

    def check_text(value: object) -> object:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        written = getattr(value, "written", str(value))
        return check(written if number else value)  # type: ignore[call-arg]

    return BeforeValidator(check_text)


def fraction(low: float, high: float) -> BeforeValidator:
    """Accept a number within the bounds, both included."""
    return _number(f"a number from {low:g} to {high:g}", lambda value: low <= value <= high)


def fractions(low: float, high: float) -> BeforeValidator:
    """Accept a number within the bounds, both included, or a list of one or more such numbers."""
    expected = f"a number from {low:g} to {high:g}, or a list of such numbers"

    def fits(value: object) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and low <= value <= high  # type: ignore[operator]

    def check(value: object) -> float | tuple[float, ...]:
        several = isinstance(value, list | tuple)
        listed: Sequence[object] = value if several else [value]  # type: ignore[assignment]
        if not listed or not all(map(fits, listed)):
            reject(expected)
        shares = tuple(float(one) for one in listed)  # type: ignore[arg-type]
        return shares if several else shares[0]

    return BeforeValidator(check)


def above_zero(high: float) -> BeforeValidator:
    """Accept a number above 0, up to a bound that is included."""
    return _number(f"a number above 0, at most {high:g}", lambda value: 0 < value <= high)


def _number(expected: str, fits: Callable[[float], bool]) -> BeforeValidator:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
            reject(expected)
        return float(value)

    return BeforeValidator(check)


def yes_or_no() -> BeforeValidator:
    """Accept ``true`` or ``false``."""

    def check(value: object) -> bool:
        if not isinstance(value, bool):
            reject("true or false")
        return value

    return BeforeValidator(check)


def did_you_mean(value: object, names: Sequence[str]) -> str:
    """Return `` (did you mean X?)`` or nothing."""
    close = difflib.get_close_matches(str(value), names, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def require_known(name: str, known: Sequence[str], what: str) -> None:
    """Raise BadInput where ``name`` is no ``what`` that is known, with those that are."""
    if name not in known:
        hint = did_you_mean(name, known)
        raise BadInput(f"unknown {what} {name!r}{hint}; known: {', '.join(known)}")


def _quantity(
    parse: Callable[[str], int], show: Callable[[int], str], hint: str, low: str, high: str
) -> Callable[[object], int]:
    least, most = parse(low), parse(high)
    expected = f"{hint}, from {show(least)} to {show(most)}"

    def check(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value == 0:
            value = show(0)
        if not isinstance(value, str):
            reject(expected)
        try:
            number = parse(value)
        except ValueError as error:
            reject(str(error))
        if not least <= number <= most:
            reject(expected)
        return number

    return check


def duration_of(low: str, high: str = "60min") -> Callable[[object], int]:
    """Return a reader of durations within the bounds, both included, as nanoseconds."""
    return _quantity(units.duration_ns, units.format_duration, units.DURATION_HINT, low, high)


def duration(low: str, high: str = "60min") -> BeforeValidator:
    """Accept a duration within the bounds, both included; the value is in nanoseconds."""
    return BeforeValidator(duration_of(low, high))


def size(low: str, high: str) -> BeforeValidator:
    """Accept a size within the bounds, both included; the value is in bytes."""
    quantity = _quantity(units.size_bytes, units.format_size, units.SIZE_HINT, low, high)

    def check(value: object) -> int:
        # A bare number of bytes is how packet sizes are written; a bare duration would be a guess.
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            value = f"{value}B"
        return quantity(value)

    return BeforeValidator(check)


def rate(low: str, high: str) -> BeforeValidator:
    """Accept a data rate within the bounds, both included; the value is in bits per second."""
    return BeforeValidator(
        _quantity(units.rate_bits, units.format_rate, units.RATE_HINT, low, high)
    )


DurationText: Final = PlainSerializer(units.format_duration, return_type=str)
SizeText: Final = PlainSerializer(units.format_size, return_type=str)
RateText: Final = PlainSerializer(units.format_rate, return_type=str)

Pages = Annotated[int, whole("pages", 1)]
Port = Annotated[int, whole("", 1, 65535)]
Target = Annotated[str, text("a cluster node such as n1, or random", r"n[1-9]\d{0,3}|random")]
