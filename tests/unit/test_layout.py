"""What C and Python share: the header that Python writes, and the object that was built with it."""

from __future__ import annotations

import ctypes
import json
import subprocess
from typing import Any

import pytest

from reserve_agent.contract.packets import Hook, PacketClass, Reason
from reserve_agent.hooks import layout
from reserve_agent.hooks.header import header
from reserve_agent.hooks.loader import OBJECT_PATH
from reserve_agent.hooks.profile import Constants

Types = dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def types() -> Types:
    """The types of the compiled hooks (BTF), by number."""
    command = ["/usr/sbin/bpftool", "btf", "dump", "--json", "file", str(OBJECT_PATH)]
    done = subprocess.run(command, capture_output=True, check=True)
    return {one["id"]: one for one in json.loads(done.stdout)["types"]}


def value_of(name: str, types: Types) -> dict[str, Any]:
    """The type of a map's values."""
    variable = next(t for t in types.values() if (t["kind"], t["name"]) == ("VAR", name))
    fields = types[variable["type_id"]]["members"]
    pointer = next(field["type_id"] for field in fields if field["name"] == "value")
    return types[types[pointer]["type_id"]]


def compiled(found: dict[str, Any], types: Types) -> Any:
    """A type as the compiler laid it out: see ``mirrored``."""
    while found["kind"] == "TYPEDEF":
        found = types[found["type_id"]]
    if found["kind"] == "ARRAY":
        return [found["nr_elems"], compiled(types[found["type_id"]], types)]
    if found["kind"] != "STRUCT":
        return found["size"]
    return found["size"], [
        (one["name"], one["bits_offset"] // 8, compiled(types[one["type_id"]], types))
        for one in found["members"]
    ]


def mirrored(kind: Any) -> Any:
    """The same of a ctypes type: a size, [length, element], or (size, [(field, offset, type)])."""
    if issubclass(kind, ctypes.Array):
        return [kind._length_, mirrored(kind._type_)]
    if not issubclass(kind, ctypes.Structure):
        return ctypes.sizeof(kind)
    return ctypes.sizeof(kind), [
        (name, getattr(kind, name).offset, mirrored(of)) for name, of, *_ in kind._fields_
    ]


@pytest.mark.parametrize("name", layout.MAP_VALUES)
def test_the_object_and_python_have_the_same_layout(name: str, types: Types) -> None:
    assert mirrored(layout.MAP_VALUES[name]) == compiled(value_of(name, types), types)


def test_the_constants_lie_alone_in_their_section(types: Types) -> None:
    """The loader writes them to the section's start."""
    (section,) = (one for one in types.values() if one["name"] == ".rodata")
    (variable,) = section["vars"]
    assert (variable["offset"], variable["size"]) == (0, ctypes.sizeof(Constants))
    found = types[types[variable["type_id"]]["type_id"]]
    while found["kind"] in ("CONST", "VOLATILE"):
        found = types[found["type_id"]]
    assert compiled(found, types) == mirrored(Constants)


@pytest.mark.parametrize(
    "line",
    [
        "#define MAX_WINDOWS 0x1000",
        "#define MARK_FROM_RESERVE 0x80000000U",
        "enum cb_hook { HOOK_RECEIVE = 0, HOOK_DELIVER = 1, HOOK_TRANSMIT = 2 };",
        "enum cb_entry { ENTRY_PRESSURE_BEGIN = 1, ENTRY_PRESSURE_END = 2, ENTRY_DROP = 3 };",
        "struct cb_rule {\n\t__u16 port;\n\t__u8 protocol;\n\t__u8 cls;\n\t__u32 flags;\n};",
        "struct cb_journal {\n\tstruct cb_journal_entry entries[4096];\n};",
    ],
)
def test_the_header_says_in_c_what_python_says(line: str) -> None:
    assert f"\n{line}\n" in header()


def test_a_counters_index_has_room_for_every_row() -> None:
    assert max(Reason) < 1 << layout.COUNTER_CLASS_SHIFT
    assert max(PacketClass) < 1 << (layout.COUNTER_HOOK_SHIFT - layout.COUNTER_CLASS_SHIFT)
    last = max(Hook) << layout.COUNTER_HOOK_SHIFT
    last |= max(PacketClass) << layout.COUNTER_CLASS_SHIFT
    assert last | max(Reason) < layout.COUNTER_ENTRIES


def test_the_pools_fields_are_named_once() -> None:
    names = [name for name, _ in layout.Pool._fields_]
    assert names == [*layout.POOL_FIELDS, "floor", "running", "buffers"]
