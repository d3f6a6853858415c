"""What a connection carries, by its first bytes; and packets by node and class."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reserve_agent.contract.packets import PacketClass
from reserve_agent.controller.rules.cookie import Cookie, Purpose
from reserve_agent.controller.rules.counts import PacketTable
from reserve_agent.controller.rules.first_bytes import Connection, class_of, tcp_payload
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.rules.state import HeldFlow
from tests.system import frames
from tests.unit.openflow_fabric import star

NBD = b"NBDMAGICIHAVEOPT\0\3"
LOGIN = bytes([0x43, 0x87, 0, 0, 0, 0, 0, 0x80]) + bytes(40) + b"InitiatorName=iqn.2026-11.x:n1\0"


@pytest.mark.parametrize(
    "payload",
    [
        NBD,
        struct.pack("!IHHQQI", 0x25609513, 0, 1, 1, 0, 4096),
        struct.pack("!IIQ", 0x67446698, 0, 1),
        struct.pack("!IHHQI", 0x668E33EF, 1, 0, 1, 0),
        LOGIN,
    ],
    ids=["hello", "request", "reply", "structured reply", "iscsi login"],
)
def test_block_io_is_recognised(payload: bytes) -> None:
    assert class_of(payload) is PacketClass.BLOCK_IO


@pytest.mark.parametrize(
    "payload",
    [
        b"GET / HTTP/1.1\r\n",
        b"NBDMAGI",
        b"\x43" + bytes(60),
        LOGIN[:48] + b"SessionType=Discovery\0",
        b"\x43\x87\x01\0" + LOGIN[4:],
    ],
)
def test_what_only_looks_like_it_is_not(payload: bytes) -> None:
    assert class_of(payload) is PacketClass.OTHER


@pytest.mark.parametrize("vlans", [(), (7,)])
def test_connection_and_payload_of_a_frame(vlans: tuple[int, ...]) -> None:
    segment = frames.tcp(40000, 20000, 1, 1, NBD)
    found = tcp_payload(frames.frame(frames.IP, frames.ipv4(6, segment), vlans))
    assert found == (Connection(0x0800, "10.0.0.1", 40000, "10.0.0.2", 20000), NBD)
    found = tcp_payload(frames.frame(frames.IPV6, frames.ipv6(6, segment), vlans))
    assert found == (Connection(0x86DD, "::1", 40000, "::2", 20000), NBD)


def test_the_padding_of_a_short_frame_is_no_payload() -> None:
    frame = frames.frame(frames.IP, frames.ipv4(6, frames.tcp(40000, 20000, 1))).ljust(60, b"\0")
    found = tcp_payload(frame)
    assert found is not None
    assert found[1] == b""


@pytest.mark.parametrize(
    "frame",
    [
        frames.frame(frames.IP, frames.ipv4(6, frames.tcp(1, 2, 1, 1, NBD), fragment=0x2000)),
        frames.frame(frames.IP, frames.ipv4(17, frames.udp(1, 2, NBD))),
        frames.frame(frames.ARP, bytes(28)),
        frames.frame(frames.IP, b"\x45"),
        b"",
    ],
    ids=["fragment", "udp", "arp", "cut", "empty"],
)
def test_what_is_not_whole_tcp_says_nothing(frame: bytes) -> None:
    assert tcp_payload(frame) is None


@given(st.binary(max_size=100))
def test_no_frame_makes_it_fail(frame: bytes) -> None:
    for kind in (b"\x08\0", b"\x86\xdd", b"\x81\0"):
        if (found := tcp_payload(frame[:12] + kind + frame[12:])) is not None:
            class_of(found[1])


def test_both_directions_are_one_connection() -> None:
    there = Connection(0x0800, "10.0.0.1", 40000, "10.0.0.2", 20000)
    assert there.reversed().reversed() == there
    assert there.either_way() == there.reversed().either_way()


OTHER, CONTROL = PacketClass.OTHER, PacketClass.CONTROL


def counted(cookie: Cookie, packets: int, size: int) -> HeldFlow:
    return HeldFlow(None, cookie.encode(1), packets, size)


def test_packets_by_node_and_class() -> None:
    table = PacketTable(star(), Shed("drop"))
    flows = [
        counted(Cookie(Purpose.CLASSIFY, OTHER), 999, 999),
        counted(Cookie(Purpose.PRESSURE, OTHER, 2), 10, 1000),
        counted(Cookie(Purpose.DELIVER, OTHER, 2), 7, 700),
        counted(Cookie(Purpose.PRESSURE, CONTROL, 2), 1, 60),
        counted(Cookie(Purpose.DELIVER, CONTROL, 2), 1, 60),
        counted(Cookie(Purpose.ASKED, CONTROL, 3), 1, 42),
        counted(Cookie(Purpose.FLOOD, CONTROL, 1), 2, 84),
    ]
    table.add_switch("s1", flows, {0xFFFFFFFE: (5, 5)})
    assert table.arrived() == [
        ("n2", "other", 10, 1000),
        ("n2", "control", 3, 144),
        ("n3", "control", 3, 126),
    ]
    assert table.dropped() == [("n2", "other", 3, 300)]


def test_what_a_meter_drops_was_counted_as_going_on() -> None:
    table = PacketTable(star(), Shed("meter"))
    flows = [
        counted(Cookie(purpose, OTHER, 2), 10, 1000)
        for purpose in (Purpose.PRESSURE, Purpose.DELIVER)
    ]
    table.add_switch("s1", flows, {2: (4, 400)})
    assert table.arrived() == [("n2", "other", 10, 1000)]
    assert table.dropped() == [("n2", "other", 4, 400)]
