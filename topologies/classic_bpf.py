"""Programs of classic BPF, by which tc picks packets out of a link. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30
"""``ld [k]``, ``ldh [k]``, ``ldb [k]``"""
LOAD_HALF_AT_X, LOAD_IP_HEADER_LENGTH = 0x48, 0xB1
"""``ldh [x + k]``, ``ldxb 4*([k]&0xf)``"""
EQUAL, AT_LEAST, ANY_BIT, JUMP = 0x15, 0x35, 0x45, 0x05
"""``jeq``, ``jge``, ``jset``, ``ja``"""
TO_X, FROM_X, RETURN = 0x07, 0x87, 0x06
"""``tax``, ``txa``, ``ret``"""
MATCH: Final = 0xFFFFFFFF
NO_MATCH: Final = 0
ETHERNET_TYPE: Final = 12
"""Offset in a frame."""
_ETHERNET, _IPV4, _TCP = 14, 0x0800, 6
_FRAGMENT_OFFSET: Final = 0x1FFF


class Instruction(NamedTuple):
    """One instruction of classic BPF; the jumps count instructions to leave out."""

    code: int
    if_true: int = 0
    if_false: int = 0
    k: int = 0


EVERY_PACKET: Final = (Instruction(RETURN, k=MATCH),)
"""Distributions' kernels have matchall for this, but the hooks of namespaces need the BPF
classifier anyway."""


def bytecode(instructions: Iterable[Instruction]) -> str:
    """Return a program as tc reads it."""
    lines = [" ".join(map(str, one)) for one in instructions]
    return f"{len(lines)}," + "".join(f"{line}," for line in lines)


def tcp_to(port: int) -> list[Instruction]:
    """Return a program that matches TCP over IPv4 to a port, and every later fragment of TCP.

    Of these nobody knows the port. QEMU's vmxnet3 and e1000e send a segment that is too long for
    the link (TSO) as fragments.
    """
    return [
        Instruction(LOAD_HALF, k=ETHERNET_TYPE),
        Instruction(EQUAL, 0, 8, _IPV4),
        Instruction(LOAD_BYTE, k=_ETHERNET + 9),
        Instruction(EQUAL, 0, 6, _TCP),
        Instruction(LOAD_HALF, k=_ETHERNET + 6),
        Instruction(ANY_BIT, 3, 0, _FRAGMENT_OFFSET),
        Instruction(LOAD_IP_HEADER_LENGTH, k=_ETHERNET),
        Instruction(LOAD_HALF_AT_X, k=_ETHERNET + 2),
        Instruction(EQUAL, 0, 1, port),
        Instruction(RETURN, k=MATCH),
        Instruction(RETURN, k=NO_MATCH),
    ]
