"""The C header of the hooks, written from Python: ``python3 -m reserve_agent.hooks.header``.

It has every constant, enumeration and structure of ``contract/packets.py``, ``profile.py`` and
``layout.py``, and the enumerations that profiles are made of.
``PacketClass.BLOCK_IO`` is ``CLASS_BLOCK_IO`` in C, and ``JournalEntry`` is
``struct cb_journal_entry``. Needs the standard library alone.
"""

from __future__ import annotations

import ctypes as c
import re
import sys
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from reserve_agent.contract import packets
from reserve_agent.hooks import layout, profile
from reserve_agent.model.buffers import Origin
from reserve_agent.model.profiles.card import Asks, Refill
from reserve_agent.model.profiles.kernel import Flags, Request

_OF_MODEL = {one.__name__: one for one in (Request, Flags, Asks, Refill, Origin)}

_INTEGERS = {c.c_uint8: "__u8", c.c_uint16: "__u16", c.c_uint32: "__u32", c.c_uint64: "__u64"}


def header() -> str:
    """Return the text of ``crunchbed.h``."""
    lines = [
        "/* SPDX-License-Identifier: GPL-2.0-only OR MIT */",
        "/* Written by reserve_agent/hooks/header.py: not to be edited. */",
        "#ifndef CRUNCHBED_H",
        "#define CRUNCHBED_H",
        *_definitions({**vars(packets), **_OF_MODEL, **vars(profile), **vars(layout)}),
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _definitions(names: dict[str, Any]) -> Iterator[str]:
    for name, value in names.items():
        if type(value) is int:
            yield f"#define {name} {value:#x}{'U' if value >> 31 else ''}"
        elif isinstance(value, type) and value is not IntEnum:
            if issubclass(value, IntEnum):
                yield _enumeration(value)
            elif issubclass(value, c.Structure):
                yield _structure(value)


def _words(cls: type) -> list[str]:
    return [word.lower() for word in re.findall("[A-Z][a-z]+", cls.__name__)]


def _enumeration(cls: type[IntEnum]) -> str:
    name = _words(cls)[-1]
    members = [f"{name.upper()}_{member.name} = {member.value}" for member in cls]
    return f"enum cb_{name} {{ {', '.join(members)} }};"


def _structure(cls: type[c.Structure]) -> str:
    fields = "".join(f"\t{_declared(name, kind)};\n" for name, kind, *_ in cls._fields_)
    return f"struct {_tag(cls)} {{\n{fields}}};"


def _tag(cls: type[c.Structure]) -> str:
    return "_".join(["cb", *_words(cls)])


def _declared(name: str, kind: Any) -> str:
    """A field; ``kind`` is an integer, a structure, or an array of one of them."""
    if issubclass(kind, c.Array):
        return f"{_declared(name, kind._type_)}[{kind._length_}]"
    if issubclass(kind, c.Structure):
        return f"struct {_tag(kind)} {name}"
    return f"{_INTEGERS[kind]} {name}"


if __name__ == "__main__":
    sys.stdout.write(header())
