"""The guest's shared memory: ``shared.h`` and its Python twin say the same."""

from __future__ import annotations

import ctypes
import re
import subprocess
from enum import IntEnum
from pathlib import Path

import pytest

from nodes.guest import layout, messages

GUEST = Path(layout.__file__).parent

STRUCTURES: dict[str, type[ctypes.LittleEndianStructure]] = {
    "cb_agent": layout.Agent,
    "cb_writing": layout.Writing,
    "cb_ring": layout.RingControl,
    "cb_message": layout.Header,
    "cb_counters": layout.Counters,
    "cb_window": layout.Window,
    "cb_probed": layout.Probed,
    "cb_flag": messages.Flag,
    "cb_flag_port": messages.FlagPort,
    "cb_level": messages.Level,
    "cb_ballast": messages.Ballast,
    "cb_connect": messages.Connect,
    "cb_login": messages.Login,
    "cb_nvme": messages.Nvme,
    "cb_write": messages.Write,
    "cb_swap": messages.Swap,
    "cb_dirty": messages.Dirty,
    "cb_neighbour": messages.Neighbour,
    "cb_sink": messages.Sink,
    "cb_reserve": messages.Reserve,
    "cb_send": messages.Send,
    "cb_done": messages.Done,
    "cb_sent": messages.Sent,
    "cb_received": messages.Received,
    "cb_written": messages.Written,
    "cb_corosync": layout.Corosync,
    "cb_corosync_line": messages.CorosyncLine,
    "cb_corosync_nodes": messages.CorosyncNodes,
    "cb_corosync_packets": messages.CorosyncPackets,
}
ENUMERATIONS: dict[str, type[IntEnum]] = {
    "CB_STATE_": layout.State,
    "CB_RING_": layout.RingName,
    "CB_": layout.Kind,
    "CB_SOCKET_": layout.Socket,
    "CB_MEMALLOC_": layout.Memalloc,
    "CB_SIDE_": layout.Side,
    "CB_DIRTY_": layout.DirtyForm,
    "CB_FAIL_": layout.Failure,
    "CB_REQUEST_": layout.Request,
}
NUMBERS = [
    *("MAGIC", "VERSION", "SHARED_BYTES", "AGENT_AT", "RINGS_AT", "COUNTERS_AT", "WINDOWS_AT"),
    *("DATA_AT", "WINDOWS", "WRITERS", "RING_BYTES", "RINGS", "MAX_PAYLOAD", "MAX_TARGETS"),
    *("COROSYNC_AT", "COROSYNC_BYTES", "PROBED_AT"),
    *("MAX_PORTS", "BALLAST_NONE", "COUNTERS_SLOTS", "COUNTERS_SLOT_BYTES"),
]
NOT_SHARED = {"cb_window_request"}  # between the agent and the module


def python_side() -> dict[str, int]:
    found = {f"CB_{name}": int(getattr(layout, name)) for name in NUMBERS}
    for prefix, enumeration in ENUMERATIONS.items():
        found |= {prefix + member.name: member.value for member in enumeration}
    for name, structure in STRUCTURES.items():
        found[f"sizeof(struct {name})"] = ctypes.sizeof(structure)
        for field, *_ in structure._fields_:
            place = getattr(structure, field)
            c_field = field.rstrip("_")
            found[f"offsetof(struct {name}, {c_field})"] = place.offset
            found[f"sizeof(((struct {name} *)0)->{c_field})"] = place.size
    return found


@pytest.fixture(scope="module")
def c_side(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What a C compiler says of the same expressions."""
    folder = tmp_path_factory.mktemp("layout")
    prints = "".join(f'show("{text}", {text});\n' for text in python_side())
    source = (
        '#include <stddef.h>\n#include <stdio.h>\n#include "shared.h"\n'
        "static void show(const char *text, unsigned long long value)\n"
        '{ printf("%s = %llu\\n", text, value); }\n'
        f"int main(void)\n{{\n{prints}return 0;\n}}\n"
    )
    (folder / "main.c").write_text(source)
    program = folder / "main"
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{GUEST}"]
    subprocess.run(["clang", *flags, str(folder / "main.c"), "-o", str(program)], check=True)
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {text: int(value) for text, value in re.findall(r"(.*) = (\d+)", output)}


def test_both_sides_agree_on_every_number(c_side: dict[str, int]) -> None:
    assert python_side() == c_side


def test_every_structure_and_enumerator_of_the_header_is_compared() -> None:
    header = (GUEST / "shared.h").read_text()
    structures = set(re.findall(r"^struct (cb_\w+) {", header, re.MULTILINE))
    assert structures - NOT_SHARED == set(STRUCTURES)
    bodies = re.findall(r"^enum cb_\w+ {(.*?)^};", header, re.MULTILINE | re.DOTALL)
    members = {name for body in bodies for name in re.findall(r"^\t(CB_\w+)", body, re.MULTILINE)}
    assert members - set(python_side()) == {"CB_FAILURES", "CB_REQUESTS"}


def test_the_parts_do_not_overlap() -> None:
    rings = layout.RINGS_AT + layout.RINGS * ctypes.sizeof(layout.RingControl)
    windows = layout.WINDOWS_AT + layout.WINDOWS * ctypes.sizeof(layout.Window)
    assert layout.AGENT_AT + ctypes.sizeof(layout.Agent) <= layout.RINGS_AT
    assert rings <= layout.COUNTERS_AT
    assert ctypes.sizeof(layout.Counters) <= layout.COUNTERS_SLOT_BYTES
    slots = layout.COUNTERS_SLOTS * layout.COUNTERS_SLOT_BYTES
    assert layout.COUNTERS_AT + slots <= layout.WINDOWS_AT
    assert windows <= layout.COROSYNC_AT
    assert layout.COROSYNC_AT + ctypes.sizeof(layout.Corosync) <= layout.PROBED_AT
    assert layout.PROBED_AT + ctypes.sizeof(layout.Probed) <= layout.DATA_AT
    assert layout.DATA_AT + layout.RINGS * layout.RING_BYTES <= layout.SHARED_BYTES


@pytest.mark.parametrize("name", ["head", "tail"])
def test_reader_and_writer_have_cache_lines_of_their_own(name: str) -> None:
    assert getattr(layout.RingControl, name).offset % 64 == 0
