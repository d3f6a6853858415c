"""From what a reader that does not read holds to the sizes of buffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crunchbed.calibrate.constant import Constant, number, within
from reserve_agent.model.profiles.record import Profile

SHORT: Final = 100
"""Bytes of a frame that every card with a copybreak copies."""
LONG: Final = 1400
"""Bytes of a frame that no card copies."""
LEAST: Final = 60
MOST: Final = 1514


@dataclass(frozen=True)
class Held:
    """What a socket with the kernel's own receive buffer held in the end.

    Attributes:
        frame_bytes: Bytes of each frame.
        packets: How many it held.
        truesize: Bytes that the kernel counts for one.
    """

    frame_bytes: int
    packets: int
    truesize: int


@dataclass(frozen=True)
class Sizes:
    """Sizes that one repeat found.

    Attributes:
        short: Truesize of a frame of ``SHORT`` bytes.
        long: Truesize of a frame of ``LONG`` bytes.
        copies: Longest frame with the truesize of a short one; 0: all have the same.
        full: Receive buffers that were full.
    """

    short: int
    long: int
    copies: int
    full: tuple[Held, ...]


def longest_copied(truesize: Callable[[int], int], short: int, long: int) -> int:
    """Return the longest frame that has the truesize of a short one, by halving; 0: none has.

    Args:
        truesize: Measures that of a frame of so many bytes.
        short: That of the shortest frame.
        long: That of the longest frame.
    """
    if short == long:
        return 0
    fits, too_long = LEAST, MOST
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if truesize(middle) == short:
            fits = middle
        else:
            too_long = middle
    return fits


def sizes(repeats: Sequence[Sizes], base: Profile, ring: Sequence[int]) -> list[Constant]:
    """Return what the repeats say of sizes.

    Args:
        repeats: At least one.
        base: The shipped profile: truesize does not tell a head from its data, nor a small buffer
            beside the ring's.
        ring: Slots of the card's ring as its driver says them, in each repeat.

    Raises:
        ValueError: The profile has no buffers.
    """
    buffers = base.kernel.buffers
    if buffers is None:
        raise ValueError(base.kernel.name)
    head = buffers.head_bytes
    beside = [one.short if base.card.needs_small else head for one in repeats]
    ring_buffers = [one.long - other for one, other in zip(repeats, beside, strict=True)]
    found = [
        number("card.ring", ring, 0, "ethtool's ring parameters in the guest"),
        number("card.buffer_bytes", ring_buffers, 0, "truesize of a long frame, without its head"),
        number("card.copies", [one.copies for one in repeats], 0, "frames with a short truesize"),
    ]
    if all(one.copies for one in repeats):
        small = [one.short - head for one in repeats]
        found.append(number("kernel.buffers.small_bytes", small, 0, "truesize without its head"))
    bounds = [
        (held.truesize * (held.packets - 1), held.truesize * held.packets - 1)
        for one in repeats
        for held in one.full
    ]
    key = "kernel.buffers.receive_buffer"
    found.append(within(key, bounds, buffers.receive_buffer, "what an unread socket held"))
    return found
