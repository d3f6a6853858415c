"""The content of written blocks, by which reading them back proves which node wrote them and when.

A block of 4096 bytes starts with a header (little endian): magic, node index, incarnation,
request sequence number, block number on the device, CRC-32 of the whole block with this field
zero. The rest is filler that depends on the sequence number.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from reserve_agent.contract.packets import PAGE_BYTES

BLOCK_BYTES = PAGE_BYTES
_HEADER = struct.Struct("<8sHHIQQI")
_MAGIC = b"crunchbd"
_FILLERS = tuple(bytes([value]) * (BLOCK_BYTES - _HEADER.size) for value in range(256))


class Stamp(NamedTuple):
    """Who wrote a block.

    Attributes:
        incarnation: How often the node, which ``node`` is the index of, had booted.
        sequence: Number of the write in that life of the node.
        block: Number of the block on the device.
    """

    node: int
    incarnation: int
    sequence: int
    block: int

    @property
    def age(self) -> tuple[int, int]:
        """Compares greater for a later write of the same node."""
        return (self.incarnation, self.sequence)


def encode(stamp: Stamp) -> bytes:
    """Return the 4096 bytes of one block."""
    fields = (_MAGIC, stamp.node, stamp.incarnation, 0, stamp.sequence, stamp.block)
    filler = _FILLERS[stamp.sequence & 0xFF]
    checksum = zlib.crc32(filler, zlib.crc32(_HEADER.pack(*fields, 0)))
    return _HEADER.pack(*fields, checksum) + filler


def decode(block: bytes) -> Stamp | None:
    """Return the stamp of a whole block; None for a torn, foreign or never written one."""
    if len(block) != BLOCK_BYTES:
        return None
    magic, node, incarnation, unused, sequence, number, checksum = _HEADER.unpack_from(block)
    if magic != _MAGIC:
        return None
    blank = _HEADER.pack(magic, node, incarnation, unused, sequence, number, 0)
    if zlib.crc32(block[_HEADER.size :], zlib.crc32(blank)) != checksum:
        return None
    return Stamp(node, incarnation, sequence, number)


def request_bytes(stamp: Stamp, blocks: int) -> bytearray:
    """Return the bytes of one write request that starts at block ``stamp.block``."""
    return bytearray(
        b"".join(encode(stamp._replace(block=stamp.block + offset)) for offset in range(blocks))
    )
