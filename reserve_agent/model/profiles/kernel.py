"""What a kernel profile says: the constants and rules of one kernel's memory.

All fractions are ratios of whole numbers, so that BPF C can follow them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


@dataclass(frozen=True)
class Ratio:
    """A share of R, the pages under the min watermark."""

    numerator: int
    denominator: int

    def of(self, pages: int) -> int:
        """The share in whole pages, rounded down: a kernel's own steps give at most 2 more."""
        return pages * self.numerator // self.denominator

    def whole(self, part: int) -> int:
        """The fewest pages of which this share is at least ``part``; not for a share of 0."""
        return -(-part * self.denominator // self.numerator)


class Request(IntEnum):
    """Kinds of request for pages, each with a floor of its own."""

    ATOMIC = 0
    """GFP_ATOMIC for a page."""
    FRAGMENT = 1
    """GFP_ATOMIC with __GFP_NOMEMALLOC: an order-3 page that buffers are cut from."""
    REALTIME = 2
    """GFP_KERNEL of a real-time task."""
    NORMAL = 3
    """GFP_KERNEL of any other task."""
    MEMALLOC = 4
    """__GFP_MEMALLOC, or a PF_MEMALLOC task."""


_FIELDS: Final = tuple(request.name.lower() for request in Request)


@dataclass(frozen=True, kw_only=True)
class Floors:
    """What share of R a request must leave free, by its kind."""

    atomic: Ratio
    fragment: Ratio
    realtime: Ratio
    normal: Ratio = Ratio(1, 1)
    memalloc: Ratio = Ratio(0, 1)

    def pages(self, request: Request, reserve: int) -> int:
        """Pages that a request must leave free where R is ``reserve`` pages."""
        return self.share(request).of(reserve)

    def share(self, request: Request) -> Ratio:
        """What share of R a request must leave free."""
        share: Ratio = getattr(self, _FIELDS[request])
        return share


class Flags(IntEnum):
    """What opens the receive reserve."""

    POLICY = 0
    """The policy in force, whether a socket is flagged or not: the mail of 2005."""
    SOCKETS = 1
    """The first flagged socket: ``sk_memalloc_socks()``."""
    NOBODY = 2
    """This kernel knows no such flag."""


@dataclass(frozen=True, kw_only=True)
class Buffers:
    """What packets are made of in a kernel.

    Attributes:
        small_bytes: Bytes of a small buffer: one that a card's driver copies a short frame into.
        fragment_pages: Pages of the fragment that larger buffers are cut from; 0 = of single pages.
        head_bytes: What the head of a packet (struct sk_buff) adds to its truesize.
        heads_at_hand: Heads that need no page.
        heads_per_page: Heads that a page brings.
        napi_cache: Whether there is a cache of heads that only reception takes from.
        receive_buffer: Bytes of truesize that a socket holds for a reader that does not read; a
            packet is refused once there are more.
    """

    small_bytes: int
    fragment_pages: int
    head_bytes: int
    heads_at_hand: int
    heads_per_page: int
    napi_cache: bool
    receive_buffer: int


@dataclass(frozen=True, kw_only=True)
class Reclaim:
    """What becomes of a normal task that finds no page above R.

    Attributes:
        sleeps_below: It reclaims by itself from R down to this share of R, and sleeps below.
        fruitless_rounds: Rounds without a page after which the OOM killer ends somebody; 0 = never.
    """

    sleeps_below: Ratio
    fruitless_rounds: int


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel profile.

    Attributes:
        name: As in scenarios.
        version: The exact version that it holds for.
        measured: How it was confirmed; empty where it was only read.
        floors: By kind of request.
        from_reserve: A buffer is from the reserve if it left fewer pages free than the floor of
            this kind of request.
        flags: What opens the receive reserve.
        buffers: What packets are made of; None = each of whole pages, without card or heads.
        ethertypes: What passes from the reserve; None = the protocols that are vm-aware by the
            mail (docs/policies.md).
        readers_stall: Whether a reader that is a normal task stops under pressure. ``recv()`` asks
            for no page.
        reclaim: What normal tasks do under pressure.
    """

    name: str
    version: str
    measured: str = ""
    floors: Floors
    from_reserve: Request
    flags: Flags
    buffers: Buffers | None
    ethertypes: frozenset[int] | None
    readers_stall: bool
    reclaim: Reclaim

    @property
    def reserved(self) -> Ratio:
        """The share of R that is left to memalloc sockets when nobody else finds a page."""
        return self.floors.share(self.from_reserve)
