"""``layout.py`` says the same as the C headers: names, values, offsets and sizes."""

from __future__ import annotations

import ctypes
import re
import socket
from enum import IntEnum
from pathlib import Path

import pytest

from crunchbed.scenario import schema
from reserve_agent import memalloc
from reserve_agent.hooks import layout, layout_audit

HOOKS = Path(layout.__file__).parent
# Without comments; cb_windows is the one structure that only the maps need.
TEXT = re.sub(
    r"/\*.*?\*/",
    "",
    "".join((HOOKS / name).read_text() for name in ("crunchbed.h", "maps.bpf.h")),
    flags=re.DOTALL,
)
SIZES = {"__u8": 1, "__u16": 2, "__u32": 4, "__u64": 8}

STRUCTURES: dict[str, type[ctypes.Structure]] = {
    "cb_rule": layout.Rule,
    "cb_loss": layout.Loss,
    "cb_config": layout.Config,
    "cb_window": layout.Window,
    "cb_windows": layout.Windows,
    "cb_wheel": layout.Wheel,
    "cb_pool": layout.Pool,
    "cb_entry_record": layout.JournalEntry,
    "cb_journal": layout.Journal,
    "cb_counter": layout.Counter,
    "cb_counters": layout.Counters,
    "cb_socket": layout.Socket,
    "cb_ether_type": layout_audit.EtherType,
    "cb_protocols": layout_audit.Protocols,
    "cb_socket_record": layout_audit.SocketRecord,
}
ENUMERATIONS: dict[str, tuple[type[IntEnum], str]] = {
    "cb_policy": (layout.Policy, "POLICY_"),
    "cb_class": (layout.PacketClass, "CLASS_"),
    "cb_hook": (layout.Hook, "HOOK_"),
    "cb_reason": (layout.Reason, "REASON_"),
    "cb_op": (layout.Op, "OP_"),
    "cb_entry": (layout.Entry, "ENTRY_"),
}
COUNTS = {"CLASSES", "HOOKS", "REASONS"}  # of members, at the end of an enumeration


def defines() -> dict[str, int]:
    found = re.findall(r"^#define (\w+) +(\w+)", TEXT, flags=re.MULTILINE)
    return {name: int(value.rstrip("U"), 0) for name, value in found}


def enumerations() -> dict[str, dict[str, int]]:
    found = {}
    for name, body in re.findall(r"enum (\w+) \{(.*?)\};", TEXT, flags=re.DOTALL):
        members, value = {}, -1
        for member in filter(None, (part.strip() for part in body.split(","))):
            label, _, given = (part.strip() for part in member.partition("="))
            value = int(given, 0) if given else value + 1
            members[label] = value
        found[name] = members
    return found


Field = tuple[str, int, int]
"""Name, offset and size in bytes."""


def structures() -> dict[str, tuple[list[Field], int]]:
    """Fields and size by name, laid out as C does: each field aligned to its own kind."""
    kinds = {name: (size, size) for name, size in SIZES.items()}
    values = defines()
    found = {}
    for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", TEXT, flags=re.DOTALL | re.M):
        if "bpf_spin_lock" in body:
            continue  # never leaves the kernel
        fields, offset, widest = [], 0, 1
        for kind, label, count in re.findall(r"(?:struct )?(\w+) (\w+)(?:\[(\w+)\])?;", body):
            size, alignment = kinds[kind]
            offset += -offset % alignment
            total = size * (values[count] if count in values else int(count or 1))
            fields.append((label, offset, total))
            offset, widest = offset + total, max(widest, alignment)
        size = offset + -offset % widest
        kinds[name], found[name] = (size, widest), (fields, size)
    return found


def test_every_structure_is_mirrored() -> None:
    assert structures().keys() == STRUCTURES.keys()
    assert set(layout.MAP_VALUES.values()) <= set(STRUCTURES.values())


@pytest.mark.parametrize("name", STRUCTURES)
def test_fields_have_the_same_place(name: str) -> None:
    mirror = STRUCTURES[name]
    fields, size = structures()[name]
    here = [
        (label, getattr(mirror, label).offset, getattr(mirror, label).size)
        for label, _ in mirror._fields_
    ]
    assert here == fields
    assert ctypes.sizeof(mirror) == size


def test_every_enumeration_is_mirrored() -> None:
    assert enumerations().keys() == ENUMERATIONS.keys()


@pytest.mark.parametrize("name", ENUMERATIONS)
def test_members_have_the_same_value(name: str) -> None:
    mirror, prefix = ENUMERATIONS[name]
    members = enumerations()[name]
    counts = {label: members.pop(label) for label in COUNTS & members.keys()}
    assert {f"{prefix}{member.name}": member.value for member in mirror} == members
    assert set(counts.values()) <= {len(mirror)}


def test_constants_have_the_same_value() -> None:
    values = defines()
    assert values.pop("CB_SOL_SOCKET") == socket.SOL_SOCKET
    assert values.pop("CB_SO_MEMALLOC") == memalloc.SO_MEMALLOC
    assert values.pop("CB_SO_STALLED") == memalloc.SO_STALLED
    here = {
        name: value
        for name, value in (vars(layout) | vars(layout_audit)).items()
        if name.isupper() and isinstance(value, int)
    }
    assert here == values


def test_pages_and_windows_are_the_same_everywhere() -> None:
    assert schema.PAGE_BYTES == layout.PAGE_BYTES
    assert schema.MAX_WINDOWS == layout.MAX_WINDOWS


def test_a_counters_index_has_room_for_every_row() -> None:
    assert max(layout.Reason) < 1 << layout.COUNTER_CLASS_SHIFT
    assert max(layout.PacketClass) < 1 << (layout.COUNTER_HOOK_SHIFT - layout.COUNTER_CLASS_SHIFT)
    last = max(layout.Hook) << layout.COUNTER_HOOK_SHIFT
    last |= max(layout.PacketClass) << layout.COUNTER_CLASS_SHIFT
    assert last | max(layout.Reason) < layout.COUNTER_ENTRIES


def test_the_pools_fields_are_named_once() -> None:
    names = [name for name, _ in layout.Pool._fields_]
    assert names == [*layout.POOL_FIELDS, "running"]
