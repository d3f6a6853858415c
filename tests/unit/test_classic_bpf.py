"""Which packets are for the machine that serves a port: run here, instruction by instruction."""

from __future__ import annotations

import struct

import pytest

from tests.unit.test_lossy import arp, ethernet, executed
from topologies.classic_bpf import EVERY_PACKET, bytecode, tcp_to

PORT = 4420


def packet(
    *, protocol: int = 6, to: int = PORT, source: int = 50_000, options: int = 0, fragment: int = 0
) -> bytes:
    first = 0x40 | (5 + options)
    header = bytes([first]) + bytes(5) + struct.pack("!H", fragment) + bytes([64, protocol])
    ports = struct.pack("!HH", source, to)
    return ethernet(0x0800, header.ljust(20 + 4 * options, b"\0") + ports)


def matches(frame: bytes) -> bool:
    return executed(tcp_to(PORT), frame, lambda: 0) != 0


@pytest.mark.parametrize("options", [0, 3])
def test_tcp_to_the_port_is_for_it(options: int) -> None:
    assert matches(packet(options=options))
    assert matches(packet(fragment=0x4000)), "a packet that must not be fragmented"
    assert matches(packet(fragment=0x2000)), "a first fragment"


def test_a_later_fragment_of_tcp_is_for_it_since_it_has_no_port() -> None:
    assert matches(packet(fragment=1, to=PORT + 1))


@pytest.mark.parametrize(
    "frame",
    [
        packet(to=PORT + 1),
        packet(to=PORT + 1, source=PORT),
        packet(protocol=17),
        packet(protocol=17, fragment=1),
        packet(to=PORT + 1, fragment=0x2000),
        arp("10.77.0.1"),
        ethernet(0x86DD, packet()[14:]),
        b"short",
    ],
)
def test_everything_else_is_the_host_s(frame: bytes) -> None:
    assert not matches(frame)


def test_every_packet_is_one_instruction() -> None:
    assert bytecode(EVERY_PACKET) == "1,6 0 0 4294967295,"
