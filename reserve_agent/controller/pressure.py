"""What an agent tells the controller: its node has come under memory pressure, or out of it.

One datagram of fixed size and typed fields, authenticated by HMAC-SHA256 with a token that only
this run has. Who sends one must hold the token; who has heard one can neither change it nor, since
numbers only grow, say it again. All fields are big-endian:

======  =====  =========================================================
offset  bytes  field
======  =====  =========================================================
0       4      ``CBPM``
4       1      version, 1
5       1      kind: 1 enter, 2 leave
6       2      zero
8       16     node, ASCII, filled with zeros
24      8      sequence: larger than that of any message of the node before
32      8      when the pressure began (enter) or was seen to be over (leave),
               nanoseconds of CLOCK_MONOTONIC
40      32     HMAC-SHA256 of all that
======  =====  =========================================================
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_BODY: Final = struct.Struct("!4sBBH16sQQ")
_MAGIC: Final = b"CBPM"
_VERSION: Final = 1
_DIGEST_BYTES: Final = 32
_NODE_BYTES: Final = 16
MESSAGE_BYTES: Final = _BODY.size + _DIGEST_BYTES
TOKEN_BYTES: Final = 32


class Kind(IntEnum):
    """What a node does."""

    ENTER = 1
    LEAVE = 2


@dataclass(frozen=True)
class PressureMessage:
    """One message.

    Attributes:
        kind: Whether the node is under pressure from now on.
        node: Logical name, such as ``n1``.
        sequence: Larger than in any earlier message of this node.
        pressure_at: When the pressure began, or was seen to be over; CLOCK_MONOTONIC, nanoseconds.
    """

    kind: Kind
    node: str
    sequence: int
    pressure_at: int


class Refused(Exception):
    """A datagram that is not acted upon; ``reason`` is one of few words, good for a count.

    ``malformed`` ones are no message at all; the others are messages that nobody may send.
    """

    def __init__(self, reason: str, *, malformed: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.malformed = malformed


def encode(message: PressureMessage, token: bytes) -> bytes:
    """The datagram.

    Raises:
        ValueError: the node's name is too long, or not ASCII.
    """
    node = message.node.encode("ascii")
    if not 0 < len(node) <= _NODE_BYTES:
        raise ValueError(f"node name of {len(node)} bytes")
    body = _BODY.pack(
        _MAGIC, _VERSION, message.kind, 0, node, message.sequence, message.pressure_at
    )
    return body + hmac.digest(token, body, "sha256")


def decode(datagram: bytes, token: bytes) -> PressureMessage:
    """The message in a datagram.

    Raises:
        Refused: it is malformed, or does not prove that its sender holds the token.
    """
    if not datagram.startswith(_MAGIC):
        raise Refused("no pressure message", malformed=True)
    if len(datagram) == _BODY.size:
        raise Refused("no token")
    if len(datagram) != MESSAGE_BYTES:
        raise Refused("wrong length", malformed=True)
    body, digest = datagram[: _BODY.size], datagram[_BODY.size :]
    if not any(digest):
        raise Refused("no token")
    # Before any field is believed, the version among them.
    if not hmac.compare_digest(hmac.digest(token, body, "sha256"), digest):
        raise Refused("wrong token")
    return _fields(body)


def _fields(body: bytes) -> PressureMessage:
    _, version, kind, zero, name, sequence, pressure_at = _BODY.unpack(body)
    if version != _VERSION or zero:
        raise Refused("unknown version", malformed=True)
    if kind not in (Kind.ENTER, Kind.LEAVE):
        raise Refused("unknown kind", malformed=True)
    node = name.rstrip(b"\0")
    if not node.isalnum():  # of bytes: ASCII letters and digits
        raise Refused("no node name", malformed=True)
    return PressureMessage(Kind(kind), node.decode("ascii"), sequence, pressure_at)
