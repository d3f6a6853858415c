"""What the history has of a packet that a fault lost on its way to a machine."""

from __future__ import annotations

import socket
import struct

from nodes.guest.lost import lost, rules_of
from reserve_agent.contract.events.pressure import PacketDropped
from tests.unit.guest_cluster import config

RULES = rules_of(config("n1", ["n1", "n2"]))
TAG = "00112233445566ff"


def frame(protocol: int, transport: bytes) -> bytes:
    addresses = socket.inet_aton("10.0.0.2") + socket.inet_aton("10.0.0.1")
    header = bytes([0x45]) + bytes(8) + bytes([protocol]) + bytes(2) + addresses
    return bytes(12) + struct.pack("!H", 0x0800) + header + transport


def ports(source: int, destination: int) -> bytes:
    return struct.pack("!HH", source, destination)


def test_a_heartbeat_has_its_tag_so_that_a_miss_finds_it() -> None:
    datagram = ports(7405, 7405) + bytes(4) + bytes.fromhex(TAG) + b"more"
    assert lost(frame(17, datagram), RULES) == PacketDropped(
        hook="receive",
        reason="lost",
        cls="heartbeat",
        src="10.0.0.2",
        dst="10.0.0.1",
        tag=TAG,
        pages=1,
    )


def test_an_answer_of_the_target_is_block_io() -> None:
    event = lost(frame(6, ports(10809, 40000) + bytes(16)), RULES)
    assert event is not None
    assert (event.cls, event.tag, event.src) == ("block-io", "", "10.0.0.2")


def test_arp_has_its_addresses_elsewhere() -> None:
    body = bytes(14) + socket.inet_aton("10.0.0.2") + bytes(6) + socket.inet_aton("10.0.0.1")
    event = lost(bytes(12) + struct.pack("!H", 0x0806) + body, RULES)
    assert event is not None
    assert (event.cls, event.src, event.dst) == ("control", "10.0.0.2", "10.0.0.1")


def test_other_packets_are_not_in_the_history() -> None:
    assert lost(frame(17, ports(9000, 9000) + bytes(12)), RULES) is None
    assert lost(b"short", RULES) is None
