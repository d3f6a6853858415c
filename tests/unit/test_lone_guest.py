"""The wire of a guest on its own: what its frames are, and how QEMU is told of it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from crunchbed.backends.machines import qemu
from crunchbed.backends.machines.lone import PORT, SINK_PORT, frame


def ones_complement(words: tuple[int, ...]) -> int:
    """Return the sum that RFC 791 has a header come to."""
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("port", [PORT, SINK_PORT])
@pytest.mark.parametrize("size", [60, 100, 1400, 1514])
def test_a_frame_is_a_datagram_with_a_number(port: int, size: int) -> None:
    made = frame(77, size, port)
    assert len(made) == size
    assert made[12:14] == b"\x08\x00"
    header, udp = made[14:34], made[34:]
    assert ones_complement(struct.unpack("!10H", header)) == 0xFFFF
    total, to, datagram = (
        *(struct.unpack("!H", header[2:4])[0], struct.unpack("!H", udp[2:4])[0]),
        struct.unpack("!H", udp[4:6])[0],
    )
    assert (to, total) == (port, 20 + datagram)
    assert datagram == (size - 34 if port == SINK_PORT else 16)
    assert struct.unpack("<Q", udp[8:16]) == (77,)


def test_qemu_is_told_both_ends_of_a_wire_of_datagrams() -> None:
    wire = qemu.Datagrams(Path("/run/a,b/host"), Path("/run/a,b/guest"))
    netdev, device = qemu._card(qemu.Card("8139cp", wire, "02:00:00:00:00:02"))[1::2]
    ends = "local.type=unix,local.path=/run/a,,b/guest,remote.type=unix,remote.path=/run/a,,b/host"
    assert netdev == f"dgram,id=net,{ends}"
    assert device == "rtl8139,netdev=net,mac=02:00:00:00:00:02,romfile="
