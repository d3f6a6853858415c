"""What an ARP announcement is made of."""

from __future__ import annotations

import socket

import pytest

from nodes.service.address import add_address, announcement
from reserve_agent.errors import CrunchbedError

HARDWARE = bytes.fromhex("02a1b2c30004")


def test_an_announcement_asks_everybody_for_the_senders_own_address() -> None:
    frame = announcement(HARDWARE, "10.77.0.6")
    assert len(frame) == 42
    assert frame[:14] == b"\xff" * 6 + HARDWARE + b"\x08\x06"
    arp = frame[14:]
    assert arp[:8] == bytes.fromhex("0001080006040001"), "Ethernet, IPv4, request"
    sender, target = arp[8:18], arp[18:28]
    assert sender == HARDWARE + socket.inet_aton("10.77.0.6")
    assert target == bytes(6) + socket.inet_aton("10.77.0.6")


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(CrunchbedError, match=r"cannot add address 10\.77\.0\.6 on nosuch0"):
        add_address("nosuch0", "10.77.0.6")
