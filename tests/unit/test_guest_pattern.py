"""Blocks that the guest's agent writes are blocks that the host reads back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nodes.block.pattern import BLOCK_BYTES, Stamp, encode
from nodes.guest import layout

AGENT = Path(layout.__file__).parent / "agent"
SOURCE = Path(__file__).parent / "data" / "guest_pattern.c"
STAMPS = [
    Stamp(0, 0, 0, 0),
    Stamp(1, 2, 3, 4),
    Stamp(63, 65535, 2**64 - 1, 2**64 - 1),
    *(Stamp(7, 1, sequence, 1000 - sequence) for sequence in range(1, 300)),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent's pattern.c, which writes the blocks that it is told to."""
    found = tmp_path_factory.mktemp("pattern") / "pattern"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Werror", f"-I{AGENT}"]
    sources = [str(SOURCE), str(AGENT / "pattern.c")]
    subprocess.run(["clang", *flags, *sources, "-o", str(found)], check=True)
    return found


def test_blocks_of_the_agent_are_ours_byte_by_byte(program: Path) -> None:
    lines = "".join(f"{' '.join(map(str, stamp))}\n" for stamp in STAMPS).encode()
    written = subprocess.run([program], input=lines, capture_output=True, check=True).stdout
    blocks = [written[at : at + BLOCK_BYTES] for at in range(0, len(written), BLOCK_BYTES)]
    assert blocks == [encode(stamp) for stamp in STAMPS]
