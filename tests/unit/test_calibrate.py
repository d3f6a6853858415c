"""From what a guest did to the constants of a profile, and which of them a profile has wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crunchbed.calibrate.constant import Constant, kind, within
from crunchbed.calibrate.floors import floors
from crunchbed.calibrate.packets import Flagged, Hearing, of_card
from crunchbed.calibrate.profile import contradictions, implied, shipped_for
from crunchbed.calibrate.sizes import SHORT, Held, longest_copied, sizes
from reserve_agent.model.profiles import CARDS, LINUX_6_1
from reserve_agent.model.profiles.card import Asks, Refill
from reserve_agent.model.profiles.kernel import Ratio, Request
from reserve_agent.model.profiles.record import Profile
from tests.unit.calibrations import DUE, RING, SHIPPED, measured, sizes_of, sweep, trial


def values(found: list[Constant]) -> dict[str, object]:
    """Return the values by key."""
    return {one.key: one.value for one in found}


def test_floors_are_the_shares_between_refused_and_granted() -> None:
    found = values(floors([sweep()] * 3))
    assert found == {
        "kernel.floors.atomic": Ratio(3, 8),
        "kernel.floors.fragment": Ratio(1, 2),
        "kernel.floors.realtime": Ratio(1, 2),
        "kernel.floors.normal": Ratio(1, 1),
        "kernel.floors.memalloc": Ratio(0, 1),
    }


def test_an_older_kernel_s_floor_of_real_time_tasks_is_found() -> None:
    older = dict(sweep().granted) | {Request.REALTIME: 668}
    refused = dict(sweep().refused) | {Request.REALTIME: 664}
    found = floors([sweep(granted=older, refused=refused)])
    assert values(found)["kernel.floors.realtime"] == Ratio(3, 4)


def test_a_sweep_beside_highatomic_blocks_says_nothing() -> None:
    assert floors([sweep(highatomic=512)]) == []
    assert len(floors([sweep(highatomic=512), sweep()])[0].seen) == 1


def test_a_request_that_was_never_refused_has_no_floor() -> None:
    refused = dict(sweep().refused) | {Request.NORMAL: None}
    assert "kernel.floors.normal" not in values(floors([sweep(refused=refused)]))


CARD_CASES = {
    # heard flagged, (heard, drops, taken) unflagged: who asks, what a failed refill does
    "e1000": (268, (266, 0, 275), Asks.NEVER, Refill.BATCH),
    "e1000e": (DUE, (266, 0, 275), Asks.FLAGGED, Refill.BATCH),
    "8139cp": (DUE, (40, 0, None), Asks.FLAGGED, Refill.EACH),
    "virtio-net": (33, (33, 0, 260), Asks.NEVER, Refill.OR_DEAF),
    "igb": (DUE, (20, DUE - 20, None), Asks.ALWAYS, None),
    "pages that are used again": (DUE, (DUE, 0, None), None, Refill.RECYCLED),
}


@pytest.mark.parametrize("card", CARD_CASES)
def test_a_card_is_told_by_what_it_takes_with_flags_and_without(card: str) -> None:
    flagged, (heard, drops, taken), asks, refill = CARD_CASES[card]
    trials = [
        trial(Flagged.READER, flagged, taken=None if flagged == DUE else flagged + 9),
        trial(Flagged.NOBODY, heard, drops=drops, taken=taken),
    ]
    found = values(of_card(trials))
    wanted = {"card.asks": asks, "card.refill": refill}
    assert found == {key: value for key, value in wanted.items() if value is not None}


def test_a_short_frame_says_whether_a_flagged_reader_hears_and_nothing_of_the_ring() -> None:
    trials = [trial(Flagged.READER, DUE, frame_bytes=SHORT), trial(Flagged.NOBODY, 266, taken=275)]
    found = values(of_card(trials))
    assert "card.asks" not in found
    assert found["flagged_short"] is Hearing.HEARD
    deaf = trial(Flagged.READER, 33, taken=260, frame_bytes=SHORT)
    assert values(of_card([deaf])) == {"flagged_short": Hearing.DEAF}


def test_late_drops_count_to_the_last_one() -> None:
    found = of_card([trial(Flagged.OTHER, 200, drops=300, late=250)])
    assert values(found) == {"late_drops": 250}


def test_sizes_follow_from_what_an_unread_socket_holds() -> None:
    found = values(sizes([sizes_of()], SHIPPED, [RING]))
    assert found == {
        "card.ring": 256,
        "card.buffer_bytes": 1920,
        "card.copies": 252,
        "kernel.buffers.small_bytes": 1024,
        "kernel.buffers.receive_buffer": 212_992,
    }
    long = sizes_of(short=2176, copies=0, full=(Held(SHORT, 98, 2176),))
    found = values(sizes([long], SHIPPED, [64]))
    assert "kernel.buffers.small_bytes" not in found


@pytest.mark.parametrize("threshold", [60, 128, 252, 1000, 1513])
def test_the_longest_copied_frame_is_found(threshold: int) -> None:
    assert longest_copied(lambda size: 1 if size <= threshold else 2, 1, 2) == threshold
    assert longest_copied(lambda _size: 1, 1, 1) == 0


def test_bounds_that_have_the_shipped_value_confirm_it_and_others_do_not() -> None:
    bounds = [(212_480, 213_759), (211_072, 213_247)]
    assert within("k", bounds, 212_992, "").value == 212_992
    assert within("k", bounds, 500_000, "").value == (212_480 + 213_247) // 2
    assert within("k", [(1, 2), (5, 6)], 7, "").least == 1


def test_a_kind_is_what_most_repeats_found() -> None:
    found = kind("card.asks", [Asks.NEVER, Asks.FLAGGED, Asks.NEVER], "")
    assert (found.value, found.excludes(Asks.FLAGGED), found.excludes(Asks.ALWAYS)) == (
        *(Asks.NEVER, False),
        True,
    )


def test_the_shipped_profile_holds_for_what_was_measured() -> None:
    assert contradictions(measured(), SHIPPED) == []


FLOORS = LINUX_6_1.floors
BUFFERS = LINUX_6_1.buffers
assert BUFFERS is not None
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    # changes of the kernel, changes of the card: what is told
    "3/4 for real-time tasks, as before 6.1.116": (
        {"floors": replace(FLOORS, realtime=Ratio(3, 4))},
        {},
        ["kernel.floors.realtime: the profile has 3/4, measured 1/2 (0.504, 0.504)"],
    ),
    "half of R for GFP_ATOMIC": (
        {"floors": replace(FLOORS, atomic=Ratio(7, 16))},
        {},
        ["kernel.floors.atomic: the profile has 7/16, measured 3/8 (0.377, 0.377)"],
    ),
    "an order-3 fragment": ({"floors": replace(FLOORS, fragment=Ratio(3, 8))}, {}, ["fragment"]),
    "a normal task": ({"floors": replace(FLOORS, normal=Ratio(3, 4))}, {}, ["floors.normal"]),
    "memalloc": ({"floors": replace(FLOORS, memalloc=Ratio(1, 16))}, {}, ["floors.memalloc"]),
    "small buffers": (
        {"buffers": replace(BUFFERS, small_bytes=512)},
        {},
        ["small_bytes"],
    ),
    "receive buffer": (
        {"buffers": replace(BUFFERS, receive_buffer=126_976)},
        {},
        ["receive_buffer"],
    ),
    "ring": ({}, {"ring": 128}, ["card.ring"]),
    "buffer": ({}, {"buffer_bytes": 4096}, ["card.buffer_bytes"]),
    "copybreak": ({}, {"copies": 255}, ["card.copies"]),
    "nothing is copied": (
        {},
        {"copies": 0},
        ["card.copies", "flagged_short: the profile has deaf, measured heard"],
    ),
    "who asks": ({}, {"asks": Asks.FLAGGED}, ["card.asks", "late_drops"]),
    "refill": ({}, {"refill": Refill.EACH}, ["card.refill"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_profile_with_one_wrong_constant_is_told(case: str) -> None:
    kernel, card, told = WRONG[case]
    profile = Profile(replace(SHIPPED.kernel, **kernel), replace(SHIPPED.card, **card))
    lines = contradictions(measured(), profile)
    assert len(lines) == len(told)
    assert all(any(words in line for line in lines) for words in told)


@pytest.mark.parametrize(
    ("card", "late"), [("e1000", 0), ("e1000e", 256), ("8139cp", 64), ("vmxnet3", 1024)]
)
def test_late_drops_follow_from_a_profile(card: str, late: int) -> None:
    assert implied(Profile(LINUX_6_1, CARDS[card]))["late_drops"] == late


@pytest.mark.parametrize("card", CARDS)
def test_only_virtio_net_keeps_a_flagged_reader_from_hearing_short_frames(card: str) -> None:
    hears = implied(Profile(LINUX_6_1, CARDS[card]))["flagged_short"]
    assert hears is (Hearing.DEAF if card == "virtio-net" else Hearing.HEARD)


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("6.1.0-56-amd64", "linux-6.1"),
        ("6.9.0-rc1", "linux-6.1"),
        ("6.12.95+deb12-amd64", "linux-6.12"),
        ("7.0.1", "linux-6.12"),
    ],
)
def test_the_shipped_profile_is_of_the_newest_kernel_that_is_not_newer(
    release: str, name: str
) -> None:
    assert shipped_for(release).name == name
