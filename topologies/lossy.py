"""Losing packets on a host's link for a fault, where no hook looks at them: tc and classic BPF.

A packet that is lost goes to a tap of its own instead, so that whoever reads the tap knows of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from typing import Final

from topologies import classic_bpf as bpf
from topologies.classic_bpf import Instruction

Loss = tuple[str | None, float]
"""Source address, or None for any; and the share of its packets that is lost, 0 to 1."""

_ARP, _ARP_SENDER, _IP_SOURCE = 0x0806, 28, 26
"""The EtherType of ARP, and offsets in an Ethernet frame."""
_RANDOM: Final = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM, linux/filter.h
_DICE: Final = 1 << 32


def program(losses: Iterable[Loss]) -> list[Instruction]:
    """Return a program that matches the packets to be lost; each loss has its own dice.

    The sender of an ARP packet is looked for where ARP has it.
    """
    return [
        Instruction(bpf.LOAD_HALF, k=bpf.ETHERNET_TYPE),
        Instruction(bpf.EQUAL, 0, 2, _ARP),
        Instruction(bpf.LOAD_WORD, k=_ARP_SENDER),
        Instruction(bpf.JUMP, k=1),
        Instruction(bpf.LOAD_WORD, k=_IP_SOURCE),
        Instruction(bpf.TO_X),
        *(instruction for loss in losses for instruction in _lost(*loss)),
        Instruction(bpf.RETURN, k=bpf.NO_MATCH),
    ]


def _lost(source: str | None, share: float) -> Iterator[Instruction]:
    dice = [] if share >= 1 else [Instruction(bpf.LOAD_WORD, k=_RANDOM)]
    if dice:
        dice.append(Instruction(bpf.AT_LEAST, 1, 0, round(share * _DICE)))
    if source is not None:
        yield Instruction(bpf.FROM_X)
        yield Instruction(bpf.EQUAL, 0, len(dice) + 1, int(IPv4Address(source)))
    yield from dice
    yield Instruction(bpf.RETURN, k=bpf.MATCH)
