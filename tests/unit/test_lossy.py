"""Which packets the programs lose that stand for a bad wire: run here, instruction by instruction.

``tests/machines/test_wire.py`` has a kernel execute them.
"""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable, Sequence

import pytest

from topologies.classic_bpf import Instruction, bytecode
from topologies.lossy import Loss, program

N2, N3 = "10.77.0.2", "10.77.0.3"
RANDOM = 0xFFFFF000 + 56


def executed(instructions: Sequence[Instruction], frame: bytes, dice: Callable[[], int]) -> int:
    """What a program of classic BPF returns, for the instructions that are used here."""
    accumulator = index = at = 0
    while True:
        code, if_true, if_false, k = instructions[at]
        at += 1
        match code:
            case 0x20 if k == RANDOM:
                accumulator = dice()
            case 0x20 | 0x28 | 0x30 | 0x48:
                size = {0x20: 4, 0x28: 2, 0x30: 1, 0x48: 2}[code]
                k += index if code == 0x48 else 0
                if k + size > len(frame):
                    return 0
                accumulator = int.from_bytes(frame[k : k + size], "big")
            case 0xB1:
                index = 4 * (frame[k] & 0xF)
            case 0x45:
                at += if_true if accumulator & k else if_false
            case 0x15:
                at += if_true if accumulator == k else if_false
            case 0x35:
                at += if_true if accumulator >= k else if_false
            case 0x05:
                at += k
            case 0x07:
                index = accumulator
            case 0x87:
                accumulator = index
            case 0x06:
                return k
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def ethernet(kind: int, rest: bytes) -> bytes:
    return bytes(12) + struct.pack("!H", kind) + rest.ljust(46, b"\0")


def ip(source: str) -> bytes:
    return ethernet(0x0800, bytes([0x45]) + bytes(11) + socket.inet_aton(source) + bytes(4))


def arp(sender: str) -> bytes:
    return ethernet(0x0806, bytes(14) + socket.inet_aton(sender))


def lost(losses: Sequence[Loss], frame: bytes, *dice: float) -> bool:
    thrown = iter(dice)
    return executed(program(losses), frame, lambda: round(next(thrown) * (1 << 32))) != 0


def test_nothing_is_lost_without_a_loss() -> None:
    assert not lost([], ip(N2))


@pytest.mark.parametrize("packet", [ip, arp])
def test_a_partition_loses_all_that_the_other_side_sends_and_nothing_else(
    packet: Callable[[str], bytes],
) -> None:
    parted: list[Loss] = [(N2, 1.0), ("10.77.0.4", 1.0)]
    assert lost(parted, packet(N2))
    assert lost(parted, packet("10.77.0.4"))
    assert not lost(parted, packet(N3))


def test_a_share_is_lost_by_dice_and_each_loss_has_its_own() -> None:
    losses: list[Loss] = [(None, 0.25), (N2, 0.5)]
    assert lost(losses, ip(N2), 0.2)
    assert lost(losses, ip(N2), 0.3, 0.4)
    assert not lost(losses, ip(N2), 0.3, 0.6)
    assert not lost(losses, ip(N3), 0.3), "only its own dice are thrown"


def test_the_share_is_what_was_asked_for() -> None:
    dice = random.Random(7)  # noqa: S311 - no secret
    losses: list[Loss] = [(N2, 0.3)]
    count = sum(
        executed(program(losses), ip(N2), lambda: dice.randrange(1 << 32)) != 0 for _ in range(4000)
    )
    assert 1080 < count < 1320


def test_tc_reads_the_number_of_instructions_first() -> None:
    assert bytecode(program([])) == (
        "7,40 0 0 12,21 0 2 2054,32 0 0 28,5 0 0 1,32 0 0 26,7 0 0 0,6 0 0 0,"
    )
