"""Frames by hand: what a cable could bring, well-formed or not."""

from __future__ import annotations

import struct

ETHERNET = bytes.fromhex("020000000001 020000000002".replace(" ", ""))
IP, ARP, IPV6, VLAN = 0x0800, 0x0806, 0x86DD, 0x8100
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132


def frame(kind: int, payload: bytes, vlans: tuple[int, ...] = ()) -> bytes:
    """An Ethernet frame; ``vlans`` are tags, the outermost first."""
    tags = b"".join(struct.pack("!HH", VLAN, tag) for tag in vlans)
    return ETHERNET + tags + struct.pack("!H", kind) + payload


def untagged(tagged: bytes) -> bytes:
    """The frame without VLAN tags, as the kernel hands it to a protocol; at least 60 bytes."""
    payload = tagged[12:]
    while payload[:2] == struct.pack("!H", VLAN):
        payload = payload[4:]
    return (tagged[:12] + payload).ljust(60, b"\0")


def ipv4(protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    """An IPv4 packet; ``fragment`` is the flags and offset word."""
    return (
        struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, fragment, 64, protocol, 0)
        + bytes([10, 0, 0, 1, 10, 0, 0, 2])
        + payload
    )


def ipv6(next_header: int, payload: bytes) -> bytes:
    """An IPv6 packet."""
    addresses = bytes(15) + b"\1" + bytes(15) + b"\2"
    return struct.pack("!IHBB", 0x60000000, len(payload), next_header, 64) + addresses + payload


def ipv6_fragment(protocol: int, offset: int, payload: bytes) -> bytes:
    """The fragment header and what follows it; ``offset`` in bytes."""
    return struct.pack("!BBHI", protocol, 0, offset & 0xFFF8 | 1, 7) + payload


def udp(source: int, destination: int, payload: bytes = b"") -> bytes:
    """A UDP datagram."""
    return struct.pack("!HHHH", source, destination, 8 + len(payload), 0) + payload


def sctp(source: int, destination: int, payload: bytes = b"") -> bytes:
    """An SCTP packet: the common header and chunks."""
    return struct.pack("!HHII", source, destination, 1, 0) + payload


def tcp(
    source: int,
    destination: int,
    sequence: int,
    acknowledged: int | None = None,
    payload: bytes = b"",
) -> bytes:
    """A TCP segment; with an acknowledgement number unless it is None."""
    flags = 0x10 if acknowledged is not None else 0x02
    return (
        struct.pack(
            "!HHIIBBHHH",
            source,
            destination,
            sequence % 2**32,
            (acknowledged or 0) % 2**32,
            0x50,
            flags,
            1000,
            0,
            0,
        )
        + payload
    )
