"""Losing packets on a host's link for a fault, where no hook looks at them: tc and classic BPF.

A packet that is lost goes to a tap of its own instead, so that whoever reads the tap knows of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from typing import Final, NamedTuple

Loss = tuple[str | None, float]
"""Source address, or None for any; and the share of its packets that is lost, 0 to 1."""

_TYPE, _ARP, _ARP_SENDER, _IP_SOURCE = 12, 0x0806, 28, 26
"""Offsets in an Ethernet frame, and the EtherType of ARP."""
_RANDOM: Final = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM, linux/filter.h
_LOAD_HALF, _LOAD_WORD = 0x28, 0x20  # ldh [k], ld [k]
_EQUAL, _AT_LEAST, _JUMP = 0x15, 0x35, 0x05  # jeq, jge, ja
_TO_X, _FROM_X, _RETURN = 0x07, 0x87, 0x06  # tax, txa, ret
_MATCH: Final = 0xFFFFFFFF
_NO_MATCH: Final = 0
_DICE: Final = 1 << 32


class Instruction(NamedTuple):
    """One instruction of classic BPF; the jumps count instructions to leave out."""

    code: int
    if_true: int = 0
    if_false: int = 0
    k: int = 0


def program(losses: Iterable[Loss]) -> list[Instruction]:
    """Return a program that matches the packets to be lost; each loss has its own dice.

    The sender of an ARP packet is looked for where ARP has it.
    """
    return [
        Instruction(_LOAD_HALF, k=_TYPE),
        Instruction(_EQUAL, 0, 2, _ARP),
        Instruction(_LOAD_WORD, k=_ARP_SENDER),
        Instruction(_JUMP, k=1),
        Instruction(_LOAD_WORD, k=_IP_SOURCE),
        Instruction(_TO_X),
        *(instruction for loss in losses for instruction in _lost(*loss)),
        Instruction(_RETURN, k=_NO_MATCH),
    ]


def _lost(source: str | None, share: float) -> Iterator[Instruction]:
    dice = [] if share >= 1 else [Instruction(_LOAD_WORD, k=_RANDOM)]
    if dice:
        dice.append(Instruction(_AT_LEAST, 1, 0, round(share * _DICE)))
    if source is not None:
        yield Instruction(_FROM_X)
        yield Instruction(_EQUAL, 0, len(dice) + 1, int(IPv4Address(source)))
    yield from dice
    yield Instruction(_RETURN, k=_MATCH)


def bytecode(instructions: Iterable[Instruction]) -> str:
    """Return a program as tc reads it."""
    lines = [" ".join(map(str, one)) for one in instructions]
    return f"{len(lines)}," + "".join(f"{line}," for line in lines)
