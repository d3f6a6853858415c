"""The class of a TCP connection by its first bytes, where its ports say nothing."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from reserve_agent.contract.packets import PacketClass

_ETHERNET = 14
_IPV4, _IPV6 = 0x0800, 0x86DD
_VLAN = (0x8100, 0x88A8)
_TCP = 6
_NBD_HELLO = b"NBDMAGIC"
# Requests and replies of the transmission phase, for connections that began before.
_NBD_LATER = (b"\x25\x60\x95\x13", b"\x67\x44\x66\x98", b"\x66\x8e\x33\xef")
_ISCSI_LOGIN = 0x43  # RFC 7143, 11.12: login request, with the immediate bit that it always has
_ISCSI_HEADER = 48


@dataclass(frozen=True)
class Connection:
    """One direction of a TCP connection; addresses as text."""

    eth_type: int
    source: str
    source_port: int
    destination: str
    destination_port: int

    def reversed(self) -> Connection:
        """The other direction."""
        return Connection(
            self.eth_type, self.destination, self.destination_port, self.source, self.source_port
        )

    def either_way(self) -> Connection:
        """The same value for both directions."""
        return min(self, self.reversed(), key=lambda one: (one.source, one.source_port))


def tcp_payload(frame: bytes) -> tuple[Connection, bytes] | None:
    """Connection and payload of a frame; None where the frame is not TCP, or is a fragment."""
    try:
        return _parse(frame)
    except (struct.error, ValueError):
        return None


def _parse(frame: bytes) -> tuple[Connection, bytes] | None:
    offset = _ETHERNET
    (kind,) = struct.unpack_from("!H", frame, offset - 2)
    while kind in _VLAN:
        offset += 4
        (kind,) = struct.unpack_from("!H", frame, offset - 2)
    if kind == _IPV4:
        first, total, fragment, protocol = struct.unpack_from("!BxH2xHxB", frame, offset)
        start, end = offset + (first & 0x0F) * 4, offset + total
        ends = frame[offset + 12 : offset + 16], frame[offset + 16 : offset + 20]
        if fragment & 0x3FFF:
            return None
    elif kind == _IPV6:
        length, protocol = struct.unpack_from("!4xHB", frame, offset)
        start, end = offset + 40, offset + 40 + length
        ends = frame[offset + 8 : offset + 24], frame[offset + 24 : offset + 40]
    else:
        return None
    if protocol != _TCP:
        return None
    source, destination, words = struct.unpack_from("!HH8xB", frame, start)
    addresses = [str(ipaddress.ip_address(address)) for address in ends]
    connection = Connection(kind, addresses[0], source, addresses[1], destination)
    return connection, frame[start + (words >> 4) * 4 : end]


def class_of(payload: bytes) -> PacketClass:
    """The class of a connection by its first payload that was seen, which is not empty.

    With NBD the server speaks first (``NBDMAGIC``), with iSCSI the initiator (a login request).
    """
    if payload.startswith((_NBD_HELLO, *_NBD_LATER)) or _is_iscsi_login(payload):
        return PacketClass.BLOCK_IO
    return PacketClass.OTHER


def _is_iscsi_login(payload: bytes) -> bool:
    """Whether the fixed parts of the header are right, and the first key follows the header."""
    if len(payload) < _ISCSI_HEADER or payload[0] != _ISCSI_LOGIN:
        return False
    versions, additional = payload[2:4], payload[4]
    return versions == b"\0\0" and additional == 0 and b"InitiatorName=" in payload[_ISCSI_HEADER:]
