"""The page ``docs/history.md``: every kind of event with its fields, from the events' docstrings.

``python -m crunchbed.history.page > docs/history.md`` writes the page anew.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints, is_typeddict

import orjson

from reserve_agent.contract.events.base import COMMON, Event, key_of
from reserve_agent.contract.events.kinds import KINDS

_INTRODUCTION: Final = """# Events of a history

Every run directory has a `history.jsonl`: one JSON object a line, one event each, sorted by time.
Every figure and the verdict are computed from these events and from nothing else, at any time
(`crunchbed report`). Look into them with `jq`:

    jq -c 'select(.kind == "node.ejected")' history.jsonl
    jq -r 'select(.kind == "heartbeat.miss") | [.t, .node, .peer] | @tsv' history.jsonl

Each event has

| field | type | meaning |
| --- | --- | --- |
| `t` | integer | When it happened, nanoseconds of CLOCK_MONOTONIC. All nodes share this clock. |
| `node` | string | Logical name of the node that it happened on; `run`, `storage` or `controller` \
where it was none. |
| `kind` | string | What happened: one of the kinds below. |
| `id` | string | Who wrote it, and the number that the writer gave it: `h:12` is the 13th \
event of the node's heartbeat daemon. |

and the fields of its kind. Where a field is absent, it is read as the value under "if absent".
A field without such a value is always there: a line that lacks one is refused. None stands for
JSON's null. Kinds that are not listed here, such as those of a newer version, are kept and have
no meaning.

**Whole or not.** Histories of format 2 (`run.json`) prove that they are whole. Every writer counts
its events in their `id`; each part of the history (a node, the controller, the run) ends with
`part.closed`, which has the sums and the digest of the part; `run.json` has the digest of the whole
file, and what an audit of every event has found. A number that is missing, a part without its end,
a sum that does not add up, a field of another type, times outside of the run, or records that
contradict one another make the verdict `unknown` with the reason. Histories without ids are of
format 1: they cannot prove anything, and are judged as they are.

This page is made from the docstrings in `reserve_agent/contract/events/` by
`python -m crunchbed.history.page > docs/history.md`.
"""
_PLAIN: Final[Mapping[object, tuple[str, str]]] = {
    int: ("integer", "integers"),
    float: ("number", "numbers"),
    str: ("string", "strings"),
    bool: ("boolean", "booleans"),
    Any: ("anything", "anything"),
}
"""What JSON calls a type: one and several."""


def page() -> str:
    """Return the whole page."""
    return "\n".join((_INTRODUCTION, *(part for family in _families() for part in family)))


def described_fields(cls: type[Event]) -> dict[str, str]:
    """Return what a docstring says of each field in its section ``Attributes``."""
    _, _, section = inspect.cleandoc(cls.__doc__ or "").partition("\nAttributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _families() -> Iterator[Iterator[str]]:
    modules = dict.fromkeys(cls.__module__ for cls in KINDS.values())
    for module in modules:
        yield _family(module, [cls for cls in KINDS.values() if cls.__module__ == module])


def _family(module: str, kinds: Sequence[type[Event]]) -> Iterator[str]:
    title, _, about = _docstring(sys.modules[module]).partition(": ")
    yield f"## {title}\n\n{about[:1].upper()}{about[1:]}\n"
    for cls in kinds:
        yield from _kind(cls)


def _kind(cls: type[Event]) -> Iterator[str]:
    about, _, _ = _docstring(cls).partition("\nAttributes:")
    yield f"### `{cls.kind}`\n\n{about.strip()} (`{cls.__name__}`)\n"
    own = [field for field in fields(cls) if field.name not in COMMON]
    if own:
        described, hints = described_fields(cls), get_type_hints(cls)
        yield "| field | type | if absent | meaning |"
        yield "| --- | --- | --- | --- |"
        for field in own:
            cells = (
                f"`{key_of(field.name)}`",
                _type(hints[field.name]),
                _absent(field),
                described.get(field.name, "").replace("``", "`"),
            )
            yield f"| {' | '.join(cells)} |"
        yield ""


def _docstring(documented: object) -> str:
    return (inspect.getdoc(documented) or "").replace("``", "`")


def _absent(field: Field[Any]) -> str:
    """Return what the field is read as where a line does not have it."""
    if field.default is MISSING:
        return ""
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{orjson.dumps(value).decode()}`"


def _type(hint: Any, several: bool = False) -> str:
    """Return a type in words."""
    if hint in _PLAIN:
        return _PLAIN[hint][several]
    if is_typeddict(hint):
        keys = ", ".join(f"`{key}` {_type(of)}" for key, of in get_type_hints(hint).items())
        return f"object{'s' * several} ({keys})"
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_type(one, several) for one in args if one is not NoneType)
    name, inner = ("object", args[1]) if origin is Mapping else ("list", args[0])
    return f"{name}{'s' * several} of {_type(inner, True)}"


if __name__ == "__main__":
    sys.stdout.write(page())
