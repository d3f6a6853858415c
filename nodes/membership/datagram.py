"""The datagrams of heartbeat daemons.

Big endian. The first eight bytes, the tag, name the datagram. They come first because the host
hooks record the first eight payload bytes of each packet that they drop.

====== ===== ==========================================================================
offset bytes field
====== ===== ==========================================================================
0      1     kind and version, see ``Kind``
1      1     sender's index, 0..63
2      2     sender's incarnation
4      4     sequence number; of a heartbeat or probe: the number of the sender's interval, so that
             a skipped interval shows; of an answer: the number of what it answers
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

A heartbeat ends here. The other kinds, by which SWIM probes, go on:

====== ===== ==========================================================================
0      1     index of the node that a ping-req or an answer is about, 255 for none
1      2     how often the sender has refuted a suspicion of itself
3      1     number of rumours, at most 16
4      7 * r each: index, state, index of the node that suspects it (255 for none), incarnation
             (2), how often that incarnation had refuted (2)
====== ===== ==========================================================================

This form has room for 64 nodes. In a simulation of more, nodes hand each other what a datagram says
(``Said``) without its bytes, and this form only says how long they would be, and names them.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from reserve_agent.errors import CrunchbedError

MAX_NODES: Final = 64
MAX_RUMOURS: Final = 16
TAG_BYTES: Final = 8

_JOINING = 1
_NOBODY = 255
_TAG = struct.Struct(">BBHI")
_WIDE_TAG = struct.Struct(">BBHII")  # _NOBODY in place of the index, which is at the end
_FIXED = struct.Struct(">BBHIIQQQBBBB")
_PROBING = struct.Struct(">BHB")
_RUMOUR = struct.Struct(">BBBHH")
_LAST_STATE = 2

MAX_BYTES: Final = 40 + 2 * MAX_NODES + _PROBING.size + MAX_RUMOURS * _RUMOUR.size


class Kind(IntEnum):
    """What a datagram is; its first byte."""

    HEARTBEAT = 0xC1
    PING = 0xC2
    ACK = 0xC3
    PING_REQ = 0xC4
    NACK = 0xC5
    GOSSIP = 0xC6


class MalformedHeartbeat(CrunchbedError):
    """A datagram that is no datagram of this version; to be dropped and counted."""


class Tag(NamedTuple):
    """What the first eight payload bytes of a heartbeat say: sender's index, boot and number."""

    sender: int
    incarnation: int
    seq: int


class Rumour(NamedTuple):
    """What a datagram says of one node, ``member``, by index.

    Attributes:
        state: 0 alive, 1 suspect, 2 dead.
        by: Index of the node that said so first; None: not known.
        incarnation: The boot of ``member`` that is meant.
        refuted: How often that boot had refuted a suspicion by then.
    """

    member: int
    state: int
    by: int | None
    incarnation: int
    refuted: int


class Heartbeat(NamedTuple):
    """One datagram; sets of nodes are bitmaps over their indexes."""

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
    kind: Kind = Kind.HEARTBEAT
    about: int | None = None
    refuted: int = 0
    rumours: tuple[Rumour, ...] = ()


def encode(heartbeat: Heartbeat) -> bytes:
    """Return the bytes of ``heartbeat``; struct.error where a field is out of its range."""
    fixed = _FIXED.pack(
        heartbeat.kind,
        *heartbeat[:7],
        _JOINING if heartbeat.joining else 0,
        _byte(heartbeat.follows),
        _byte(heartbeat.author),
        0,
    )
    payload = fixed + struct.pack(f">{len(heartbeat.incarnations)}H", *heartbeat.incarnations)
    if heartbeat.kind is Kind.HEARTBEAT:
        return payload
    rumours = heartbeat.rumours
    payload += _PROBING.pack(_byte(heartbeat.about), heartbeat.refuted, len(rumours))
    return payload + b"".join(
        _RUMOUR.pack(one.member, one.state, _byte(one.by), one.incarnation, one.refuted)
        for one in rumours
    )


def decode(payload: bytes) -> Heartbeat:
    """Read one datagram; raises MalformedHeartbeat where ``encode`` cannot have made it."""
    try:
        values = _FIXED.unpack_from(payload)
    except struct.error:
        raise MalformedHeartbeat(f"heartbeat of {len(payload)} bytes is too short") from None
    magic, sender, incarnation, seq, view, members, suspects, sent_ns = values[:8]
    flags, follows, author, zero = values[8:]
    kind = _kind(magic)
    if sender >= MAX_NODES or flags > _JOINING or zero:
        raise MalformedHeartbeat(f"heartbeat with {magic=:#x}, {sender=}, {flags=:#x}")
    end = _FIXED.size + 2 * members.bit_count()
    if len(payload) < end or (kind is Kind.HEARTBEAT and len(payload) != end):
        raise MalformedHeartbeat(f"{len(payload)} bytes for {members.bit_count()} members")
    about, refuted, rumours = (
        (None, 0, ()) if kind is Kind.HEARTBEAT else _probing(bytes(payload[end:]))
    )
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
        _incarnations(payload[_FIXED.size : end]),
        kind,
        about,
        refuted,
        rumours,
    )


def _probing(section: bytes) -> tuple[int | None, int, tuple[Rumour, ...]]:
    try:
        about, refuted, count = _PROBING.unpack_from(section)
    except struct.error:
        raise MalformedHeartbeat(f"probing section of {len(section)} bytes") from None
    if count > MAX_RUMOURS or len(section) != _PROBING.size + count * _RUMOUR.size:
        raise MalformedHeartbeat(f"{len(section)} bytes for {count} rumours")
    return _index(about), refuted, _rumours(section[_PROBING.size :])


@lru_cache(maxsize=256)
def _rumours(packed: bytes) -> tuple[Rumour, ...]:
    found = []
    for member, state, by, incarnation, refuted in _RUMOUR.iter_unpack(packed):
        if member >= MAX_NODES or state > _LAST_STATE:
            raise MalformedHeartbeat(f"rumour of index {member} in state {state}")
        found.append(Rumour(member, state, _index(by), incarnation, refuted))
    return tuple(found)


def _kind(magic: int) -> Kind:
    try:
        return Kind(magic)
    except ValueError:
        raise MalformedHeartbeat(f"heartbeat with {magic=:#x}") from None


def _byte(index: int | None) -> int:
    return _NOBODY if index is None else index


def _index(byte: int) -> int | None:
    if byte == _NOBODY:
        return None
    if byte >= MAX_NODES:
        raise MalformedHeartbeat(f"heartbeat speaks of index {byte}")
    return byte


@lru_cache(maxsize=256)
def _incarnations(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(packed) // 2}H", packed)


def size_of(kind: Kind, members: int, rumours: int) -> int:
    """Return how many bytes a datagram has.

    One about more than ``MAX_NODES`` members, for which there is no form, is taken to be as long as
    one that names its view by a number: bitmaps and boots of so many would fill many packets.
    """
    size = _FIXED.size + (2 * members if members <= MAX_NODES else 0)
    if kind is Kind.HEARTBEAT:
        return size
    return size + _PROBING.size + rumours * _RUMOUR.size


def tag_bytes(sender: int, incarnation: int, seq: int, kind: Kind = Kind.HEARTBEAT) -> bytes:
    """Return the tag of a datagram: its first eight bytes; twelve where its sender has no form."""
    if sender < MAX_NODES:
        return _TAG.pack(kind, sender, incarnation, seq)
    return _WIDE_TAG.pack(kind, _NOBODY, incarnation, seq, sender)


def tag_of(sender: int, incarnation: int, seq: int, kind: Kind = Kind.HEARTBEAT) -> str:
    """Return the tag, in hex, under which the hooks record a drop of this datagram."""
    return tag_bytes(sender, incarnation, seq, kind).hex()


def parse_tag(tag: str) -> Tag:
    """Return which heartbeat a recorded tag names.

    Raises:
        MalformedHeartbeat: It is the tag of something else, such as a probe or an answer, whose
            number need not be that of an interval of its sender.
    """
    try:
        packed = bytes.fromhex(tag)
        if len(packed) == _WIDE_TAG.size:
            magic, wide, incarnation, seq, sender = _WIDE_TAG.unpack(packed)
            whole = wide == _NOBODY and sender >= MAX_NODES
        else:
            magic, sender, incarnation, seq = _TAG.unpack(packed)
            whole = sender < MAX_NODES
    except (ValueError, struct.error):
        raise MalformedHeartbeat(f"{tag!r} is no tag in hex") from None
    if magic != Kind.HEARTBEAT or not whole:
        raise MalformedHeartbeat(f"{tag!r} is not the tag of a heartbeat")
    return Tag(sender, incarnation, seq)
