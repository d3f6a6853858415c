"""The wire of a guest on its own: what its frames are, how many there are, and how QEMU has it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from crunchbed.backends.machines import qemu
from crunchbed.backends.machines.lone import PORT, SINK_PORT, frame
from crunchbed.backends.machines.sender import Sender


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


class TurningGuest:
    """A guest whose card has so many slots, and whose agent makes a turn with each look."""

    def __init__(self, slots: int, *, reads: bool = True) -> None:
        self.turns = 0
        self.newest = -1
        self.taken: list[int] = []
        self.most_under_way = 0
        self._slots = slots
        self._reads = reads

    def send(self, number: int, _frame_bytes: int, _port: int) -> bool:
        if len(self.taken) == self._slots:
            return False
        self.taken.append(number)
        self.most_under_way = max(self.most_under_way, number - self.newest)
        return True

    def until(self, condition: Callable[[], bool], *_: object) -> None:
        while not condition():
            self.turns += 1
            if self._reads and self.taken:
                self.newest = self.taken[-1]


def sent(guest: TurningGuest, count: int, port: int = PORT) -> int:
    return Sender(guest, 100, port).send(count, patience=50)  # type: ignore[arg-type]


def test_all_frames_are_sent_in_order_with_some_under_way() -> None:
    guest = TurningGuest(1000)
    assert sent(guest, 300) == 300
    assert guest.taken == list(range(300))
    assert guest.most_under_way <= 32


def test_a_card_without_slots_is_given_up_after_some_turns() -> None:
    guest = TurningGuest(40)
    assert sent(guest, 300) == 40
    assert guest.turns > 50


def test_frames_that_nobody_has_are_lost_after_some_turns() -> None:
    guest = TurningGuest(1000, reads=False)
    assert sent(guest, 100) == 100
    assert guest.turns > 3 * 40


def test_a_socket_that_is_not_read_is_not_waited_for() -> None:
    guest = TurningGuest(1000, reads=False)
    assert sent(guest, 100, SINK_PORT) == 100
    assert guest.most_under_way == 100
