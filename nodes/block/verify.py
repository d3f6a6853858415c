"""Read every acknowledged block back.

This reads the file behind the targets when the run is over; no target needs to be alive. A block
passes when it is whole, was written by its node, and is not older than its last acknowledged write
(the acknowledgement of a later write may have been lost). The answer is one JSON object in the file
``answer``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import orjson

from nodes.block.pattern import BLOCK_BYTES, Stamp, decode
from nodes.daemon import Stop

_MAX_READ_BLOCKS = 256
Read = Callable[[int, int], bytes]
"""``pread(count, offset)`` returns at most ``count`` bytes of the disk."""
Acknowledged = tuple[int, int, int, int, int]  # node, incarnation, sequence, block, blocks


def newest(acknowledged: Iterable[Acknowledged]) -> dict[int, Stamp]:
    """Return the newest acknowledged stamp of each block."""
    stamps: dict[int, Stamp] = {}
    for node, incarnation, sequence, first, blocks in acknowledged:
        for block in range(first, first + blocks):
            stamp = Stamp(node, incarnation, sequence, block)
            if block not in stamps or stamps[block].age < stamp.age:
                stamps[block] = stamp
    return stamps


def runs(blocks: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Return runs of consecutive blocks as (first, count), of at most 256 blocks."""
    for _, group in groupby(enumerate(sorted(blocks)), key=lambda pair: pair[1] - pair[0]):
        members = [block for _, block in group]
        for start in range(0, len(members), _MAX_READ_BLOCKS):
            yield members[start], len(members[start : start + _MAX_READ_BLOCKS])


def verdict(expected: Stamp, data: bytes) -> str:
    """Return ``ok``, ``corrupt`` (torn, another block's) or ``lost`` (older, never written)."""
    found = decode(data)
    if found is None:
        return "lost" if not any(data) else "corrupt"
    if (found.node, found.block) != (expected.node, expected.block):
        return "corrupt"
    return "ok" if found.age >= expected.age else "lost"


def check(
    pread: Read, expected: dict[int, Stamp], bad: Counter[int] | None = None
) -> dict[str, int]:
    """Read and judge every expected block; one beyond the disk's end counts as never written.

    ``bad`` gets the number of lost and corrupt blocks added, by the index of their node.
    """
    counts = {"ok": 0, "lost": 0, "corrupt": 0}
    for first, count in runs(expected):
        data = pread(count * BLOCK_BYTES, first * BLOCK_BYTES)
        for offset in range(count):
            block = data[offset * BLOCK_BYTES : (offset + 1) * BLOCK_BYTES]
            stamp = expected[first + offset]
            found = verdict(stamp, block)
            counts[found] += 1
            if bad is not None and found != "ok":
                bad[stamp.node] += 1
    return counts


def check_file(
    disk: Path, expected: dict[int, Stamp], bad: Counter[int] | None = None
) -> dict[str, int]:
    """Judge every expected block of a file; see ``check``."""
    descriptor = os.open(disk, os.O_RDONLY)
    try:
        return check(lambda count, offset: os.pread(descriptor, count, offset), expected, bad)
    finally:
        os.close(descriptor)


def _rows(record: list[list[int]]) -> tuple[Acknowledged, ...]:
    return tuple((node, life, seq, block, blocks) for node, life, seq, block, blocks in record)


@dataclass(frozen=True)
class VerifyConfig:
    """The file behind the targets, the file for the counts, and every acknowledged write."""

    disk: Path
    answer: Path
    acknowledged: tuple[Acknowledged, ...] = field(metadata={"read": _rows})


def body(config: VerifyConfig, _stop: Stop) -> None:
    """Read every acknowledged block back and write the answer."""
    expected = newest(config.acknowledged)
    bad: Counter[int] = Counter()
    counts = check_file(config.disk, expected, bad)
    answer = {"checked": len(expected), **counts, "bad_of_node": sorted(bad.items())}
    config.answer.write_bytes(orjson.dumps(answer, option=orjson.OPT_INDENT_2))
