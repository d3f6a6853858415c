"""Kernel and card profiles as the hooks have them: constants, and the state of ring and pieces.

``model/profiles`` has the profiles, and ``model/card_buffers.py`` and ``model/pieces.py`` the rules
of the state. ``buffers.bpf.h`` follows them.
"""

from __future__ import annotations

import ctypes as c

from reserve_agent.contract.packets import PAGE_BYTES, WHEEL_SLOTS
from reserve_agent.errors import HookError
from reserve_agent.model.buffers import Origin
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Buffers as KernelBuffers
from reserve_agent.model.profiles.kernel import Kernel, Request

# Powers of two, so that a mask is a bound.
FLOORS = 8  # by Request
ORIGINS = 8  # by Origin
MAX_RING = 1024  # slots of a card's receive ring
MAX_ETHER_TYPES = 8
# A run of equal buffers in the ring: origin | KIND_RESERVE | how many << RUN_SHIFT.
KIND_RESERVE = 8
KIND_MASK = 15
RUN_SHIFT = 4


class Share(c.Structure):
    """A share of R."""

    _fields_ = (("numerator", c.c_uint32), ("denominator", c.c_uint32))


class Cut(c.Structure):
    """What buffers of one size are cut from."""

    _fields_ = (
        ("single", c.c_uint32),  # origin of a piece of a single page
        ("per_page", c.c_uint32),
        ("per_fragment", c.c_uint32),  # 0 = never cut from one
        ("fragment_pages", c.c_uint32),
    )


class Constants(c.Structure):
    """What is fixed when hooks are loaded: the profiles of kernel and card.

    ``model/profiles/kernel.py`` and ``card.py`` say what the constants are.
    """

    _fields_ = (
        ("testing", c.c_uint32),  # whether the differential test drives the hooks
        ("floors", Share * FLOORS),
        ("from_reserve", c.c_uint32),  # a Request
        ("flags", c.c_uint32),  # a Flags
        ("readers_stall", c.c_uint32),
        ("ether_types", c.c_uint32),  # how many; 0: what passes is vm-aware by the mail
        ("ether_type", c.c_uint16 * MAX_ETHER_TYPES),
        ("buffers", c.c_uint32),  # 0: whole pages, and nothing below is used
        ("head_bytes", c.c_uint32),
        ("heads_at_hand", c.c_uint32),
        ("heads_per_page", c.c_uint32),
        ("mute_after", c.c_uint32),  # 0 = never
        ("receive_buffer", c.c_uint32),
        ("small_bytes", c.c_uint32),
        ("large_bytes", c.c_uint32),
        ("ring", c.c_uint32),
        ("refill", c.c_uint32),  # a Refill
        ("batch", c.c_uint32),
        ("asks", c.c_uint32),  # an Asks
        ("copies", c.c_uint32),
        ("needs_small", c.c_uint32),
        ("small", Cut),
        ("large", Cut),
        ("retry_ns", c.c_uint64),
    )


class Pieces(c.Structure):
    """Buffers of one size; ``model/pieces.py`` says what the counters are."""

    _fields_ = (
        ("left", c.c_uint32),
        ("kind", c.c_uint32),  # of those that are left: origin | KIND_RESERVE
        ("free_singles", c.c_uint32),
        ("free_fragments", c.c_uint32),
        ("pages", c.c_uint64),
    )


class Buffers(c.Structure):
    """What packets are made of under a kernel profile that has buffers: ring, pieces and heads.

    The ring is a queue of runs of equal buffers. The wheel has buffers by slot and origin.
    """

    _fields_ = (
        ("small", Pieces),
        ("large", Pieces),
        ("heads", c.c_uint64),  # at hand
        ("head_pages", c.c_uint64),
        ("deaf", c.c_uint32),
        ("first", c.c_uint32),  # of the runs
        ("runs", c.c_uint32),
        ("filled", c.c_uint32),  # slots of the ring
        ("retry_at", c.c_uint64),
        ("tick", c.c_uint64),
        ("held", c.c_uint64),  # all on the wheel
        ("slot", c.c_uint32 * (WHEEL_SLOTS * ORIGINS)),
        ("hoarded", c.c_uint32 * ORIGINS),
        ("run", c.c_uint16 * MAX_RING),
    )


def constants_of(kernel: Kernel, card: Card | None = None) -> Constants:
    """Return the constants of a kernel and, where it has buffers, of its network card.

    Raises:
        HookError: The card is missing, or a constant is out of what the hooks can hold.
    """
    fixed = Constants(
        from_reserve=kernel.from_reserve, flags=kernel.flags, readers_stall=kernel.readers_stall
    )
    for request in Request:
        share = kernel.floors.share(request)
        fixed.floors[request] = Share(share.numerator, share.denominator)
    ether_types = sorted(kernel.ethertypes or ())
    if len(ether_types) > MAX_ETHER_TYPES:
        raise HookError(f"{kernel.name}: {len(ether_types)} EtherTypes, at most {MAX_ETHER_TYPES}")
    fixed.ether_types = len(ether_types)
    for slot, ether_type in enumerate(ether_types):
        fixed.ether_type[slot] = ether_type
    if kernel.buffers is not None:
        if card is None:
            raise HookError(f"{kernel.name}: a card profile is needed")
        _fill(fixed, kernel.buffers, card)
    return fixed


def _fill(fixed: Constants, buffers: KernelBuffers, card: Card) -> None:
    if not 0 < card.ring <= MAX_RING:
        raise HookError(f"{card.name}: a ring of {card.ring} slots, expected 1 to {MAX_RING}")
    fixed.buffers = 1
    for name in ("head_bytes", "heads_at_hand", "heads_per_page", "receive_buffer", "small_bytes"):
        setattr(fixed, name, getattr(buffers, name))
    for name in ("ring", "refill", "batch", "asks", "copies", "needs_small", "retry_ns"):
        setattr(fixed, name, getattr(card, name))
    fixed.mute_after = card.mute_after if buffers.napi_cache else 0
    fixed.large_bytes = card.buffer_bytes
    pages = buffers.fragment_pages
    fixed.small = Cut(Origin.SMALL, PAGE_BYTES // buffers.small_bytes)
    fixed.large = Cut(Origin.PAGE, card.per_page, card.per_fragment(pages), pages)
