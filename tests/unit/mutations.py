"""Seeded damage to texts and to recorded histories, for fuzzing of what reads them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

_SNIPPETS: Final = (
    *("!!bool x", '!!int ""', "!!set", "<<: !!set {a}", "%YAML 1.3\n", "%TAG ! !\n", "---", "..."),
    *("&a ", "*a", "!!str ", "!x ", "? ", ": ", "- ", "[", "]", "{", "}", ",", "#", "|\n", ">\n"),
    *('"', "'", "\\", "\t", "\n", " ", "\x00", "\x85", "\u2028", "\ufeff", "\ud800", "é", "💥"),
    *("9" * 30, "0x" + "f" * 60, "1e999", ".nan", "-.inf", "null", "~", "true", "on", "-1", "0"),
    *("1_0", "0o7", "n1.", " or ", "[" * 70, "- " * 30, "<<: *a\n", "<<: 5\n", "@", "`", "%"),
)
_VALUES: Final = (
    *(None, True, False, 0, 1, -1, 10**9, 2**40, 2**63 - 1, -(2**63), 0.5, -0.0, 1e300),
    *("", "x", "n1", "n99", "storage", "\x00", "1", [], [1], ["n1", "n2"], {}, {"a": 1}, [[]]),
)


def texts(originals: list[str], count: int, seed: int) -> Iterator[str]:
    """Yield damaged texts: cut, doubled, swapped and with odd pieces put in."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(count):
        text = dice.choice(originals)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            text = dice.choice(_TEXT_DAMAGE)(text, dice)
        yield text


def _put_in(text: str, dice: random.Random) -> str:
    at = dice.randrange(len(text) + 1)
    return text[:at] + dice.choice(_SNIPPETS) + text[at + dice.choice((0, 0, 1, 5)) :]


def _cut(text: str, dice: random.Random) -> str:
    begin = dice.randrange(len(text) + 1)
    return text[:begin] + text[begin + dice.choice((1, 3, 30, len(text))) :]


def _double_line(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    lines.insert(dice.randrange(len(lines)), dice.choice(lines))
    return "\n".join(lines)


def _value(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    at = dice.randrange(len(lines))
    key, colon, _ = lines[at].partition(":")
    lines[at] = f"{key}{colon} {dice.choice(_SNIPPETS)}"
    return "\n".join(lines)


_TEXT_DAMAGE: Final[tuple[Callable[[str, random.Random], str], ...]] = (
    *(_put_in, _put_in, _cut, _double_line, _value, _value),
)


def histories(lines: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield damaged histories: lines lost, doubled, moved and cut, and fields changed."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(count):
        damaged = list(lines)
        for _ in range(dice.choice((1, 1, 2, 5))):
            dice.choice(_LINE_DAMAGE)(damaged, dice)
        yield b"\n".join(damaged) + b"\n" * dice.choice((0, 1))


def _lose(lines: list[bytes], dice: random.Random) -> None:
    begin = dice.randrange(len(lines) + 1)
    del lines[begin : begin + dice.choice((1, 10, len(lines)))]
    lines or lines.append(b"{}")


def _move(lines: list[bytes], dice: random.Random) -> None:
    lines.insert(dice.randrange(len(lines)), lines.pop(dice.randrange(len(lines))))


def _break(lines: list[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(lines))
    cut = dice.randrange(len(lines[at]) + 1)
    lines[at] = (
        lines[at][:cut] + dice.choice((b"", b"\x00", b"\xff", b"[", b"}")) + lines[at][cut + 1 :]
    )


def _change(lines: list[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(lines))
    try:
        record: Any = orjson.loads(lines[at])
    except orjson.JSONDecodeError:
        return
    if isinstance(record, dict) and record:
        key = dice.choice(list(record))
        if dice.random() < 0.2:
            del record[key]
        else:
            record[key] = dice.choice(_VALUES)
        lines[at] = orjson.dumps(record)


_LINE_DAMAGE: Final[tuple[Callable[[list[bytes], random.Random], None], ...]] = (
    *(_lose, _move, _break, _change, _change, _change, _change),
)
