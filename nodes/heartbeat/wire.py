"""The heartbeat datagram.

Big endian, 40 to 168 bytes. The first eight bytes name the heartbeat; they come first because
the host hooks record the first eight payload bytes of what they drop (the tag).

====== ===== ==========================================================================
offset bytes field
====== ===== ==========================================================================
0      1     magic and version, 0xC1
1      1     sender's index, 0..63
2      2     sender's incarnation
4      4     sequence number: counts the sender's intervals, so that a skipped one shows
8      4     number of the sender's view; 0 while it has none
12     8     members of that view, bit i is node i
20     8     nodes that the sender suspects
28     8     when it was sent, CLOCK_MONOTONIC nanoseconds
36     1     flags: 1 = joining
37     1     index of the coordinator that the sender follows, 255 for none
38     1     index of the coordinator that made the view, 255 for none
39     1     0
40     2 * n incarnations of the view's members, by index
====== ===== ==========================================================================
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from reserve_agent.errors import CrunchbedError

MAGIC = 0xC1
MAX_NODES = 64
TAG_BYTES = 8
MAX_BYTES = 40 + 2 * MAX_NODES

_JOINING = 1
_NOBODY = 255
_TAG = struct.Struct(">BBHI")
_FIXED = struct.Struct(">BBHIIQQQBBBB")


class MalformedHeartbeat(CrunchbedError):
    """A datagram that is no heartbeat of this version; to be dropped and counted."""


class Tag(NamedTuple):
    """What the first eight payload bytes of a heartbeat say."""

    sender: int
    incarnation: int
    seq: int


class Heartbeat(NamedTuple):
    """One heartbeat; sets of nodes are bitmaps over their indexes."""

    sender: int
    incarnation: int
    seq: int
    view: int
    members: int
    suspects: int
    sent_ns: int
    joining: bool
    follows: int | None
    author: int | None
    incarnations: tuple[int, ...]


def encode(heartbeat: Heartbeat) -> bytes:
    """The datagram for ``heartbeat``.

    Raises:
        struct.error: a field is out of its range.
    """
    fixed = _FIXED.pack(
        MAGIC,
        *heartbeat[:7],
        _JOINING if heartbeat.joining else 0,
        _NOBODY if heartbeat.follows is None else heartbeat.follows,
        _NOBODY if heartbeat.author is None else heartbeat.author,
        0,
    )
    return fixed + struct.pack(f">{len(heartbeat.incarnations)}H", *heartbeat.incarnations)


def decode(payload: bytes) -> Heartbeat:
    """Read one datagram.

    Raises:
        MalformedHeartbeat: it is not one that ``encode`` can have made.
    """
    try:
        values = _FIXED.unpack_from(payload)
    except struct.error:
        raise MalformedHeartbeat(f"heartbeat of {len(payload)} bytes is too short") from None
    magic, sender, incarnation, seq, view, members, suspects, sent_ns = values[:8]
    flags, follows, author, zero = values[8:]
    if magic != MAGIC or sender >= MAX_NODES or flags > _JOINING or zero:
        raise MalformedHeartbeat(f"heartbeat with {magic=:#x}, {sender=}, {flags=:#x}")
    if len(payload) != _FIXED.size + 2 * members.bit_count():
        raise MalformedHeartbeat(f"{len(payload)} bytes for {members.bit_count()} members")
    return Heartbeat(
        sender,
        incarnation,
        seq,
        view,
        members,
        suspects,
        sent_ns,
        flags == _JOINING,
        _index(follows),
        _index(author),
        _incarnations(payload[_FIXED.size :]),
    )


def _index(byte: int) -> int | None:
    if byte == _NOBODY:
        return None
    if byte >= MAX_NODES:
        raise MalformedHeartbeat(f"heartbeat speaks of index {byte}")
    return byte


@lru_cache(maxsize=256)
def _incarnations(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(packed) // 2}H", packed)


def tag_of(sender: int, incarnation: int, seq: int) -> str:
    """The tag, in hex, under which the hooks record a drop of this heartbeat."""
    return _TAG.pack(MAGIC, sender, incarnation, seq).hex()


def parse_tag(tag: str) -> Tag:
    """Which heartbeat a recorded tag names.

    Raises:
        MalformedHeartbeat: it is not the tag of a heartbeat.
    """
    try:
        magic, sender, incarnation, seq = _TAG.unpack(bytes.fromhex(tag))
    except (ValueError, struct.error):
        raise MalformedHeartbeat(f"{tag!r} is not eight bytes of hex") from None
    if magic != MAGIC or sender >= MAX_NODES:
        raise MalformedHeartbeat(f"{tag!r} is not the tag of a heartbeat")
    return Tag(sender, incarnation, seq)
