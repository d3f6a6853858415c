"""The border between packets that are booked and packets that are only counted.

A packet for a pool that is calm and far from R could neither be refused nor make a difference: it
is counted, and takes nothing out of the pool. So what such packets hold until they are read is
missing from the books, and the border has to be as many pages above R. Then more free pages than
the border are more than R in truth as well: no pressure begins unseen.

Where the pool falls to the border from above, packets that are not booked hold at most the margin,
for the rest of a buffer's life. By so much may there be fewer free pages than the pool says, and a
lower low-water mark: above the border at any time, below it for no longer than that life.
"""

from __future__ import annotations

from typing import Final

from reserve_agent.contract.packets import WHEEL_LIFE

NS_PER_PAGE: Final = 128
"""Nanoseconds for each page that packets take: they come no faster to one node. 7.8 million packets
of one page a second are 94 Gb/s in frames of 1,500 bytes; a hook and the stack behind it take some
500 ns a packet on each processor."""


def margin(service_shift: int, ns_per_page: int = NS_PER_PAGE) -> int:
    """Pages that packets which are not booked may hold at most, by the life of a buffer.

    ``service_shift``: a tick of the service wheel is 2 ** service_shift nanoseconds.
    """
    return (WHEEL_LIFE << service_shift) // ns_per_page + 1
