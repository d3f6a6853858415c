"""The arithmetic of the reserve, by hand."""

from __future__ import annotations

import pytest

from crunchbed.scenario import sizing
from crunchbed.scenario.loader import load
from reserve_agent.model.profiles.kernel import Ratio
from reserve_agent.sizing import Throttled, computed_pages, needed_pages, terms

DISK = Throttled("disk", in_flight=16, request_bytes=16384, reply_bytes=82)
BEATS = Throttled("beats", in_flight=2, request_bytes=96, reply_bytes=96, streamed=False)


def test_a_stream_s_request_may_begin_and_end_inside_a_page() -> None:
    assert DISK.request_pages == 5
    assert DISK.pages == 16 * (5 + 1 + 1)


def test_a_datagram_is_one_buffer_and_is_not_repeated() -> None:
    assert BEATS.pages == 2 * (1 + 1 + 0)


def test_the_sum_is_that_of_its_terms() -> None:
    found = terms([DISK, BEATS], interfaces=2)
    assert [term.pages for term in found] == [112, 4, 8, 100]
    assert needed_pages([DISK, BEATS], interfaces=2) == 224
    assert "16 in flight x (5 request + 1 reply + 1 retransmit)" in found[0].text


@pytest.mark.parametrize("depth", [1, 2, 64])
def test_twice_the_queue_depth_needs_twice_the_pages(depth: int) -> None:
    one = Throttled("x", depth, 8192, 82)
    two = Throttled("x", 2 * depth, 8192, 82)
    assert two.pages == 2 * one.pages


@pytest.mark.parametrize(
    ("reserved", "pages"), [(Ratio(1, 1), 224), (Ratio(3, 8), 598), (Ratio(1, 2), 448)]
)
def test_what_others_may_take_of_the_reserve_comes_on_top(reserved: Ratio, pages: int) -> None:
    assert computed_pages([DISK, BEATS], interfaces=2, reserved=reserved) == pages
    assert reserved.of(pages) >= 224 > reserved.of(pages - 1)


@pytest.mark.parametrize(
    ("changes", "needed", "reserve"),
    [
        ({}, 190, 190),  # by the mail of 2005 memalloc sockets have the whole reserve
        ({"memory.kernel": "6.1"}, 190, 507),
        ({"memory.kernel": "linux-2.6.12"}, 190, 507),
        ({"cluster.backend": "machines"}, 94, 251),  # four writes at most
        ({"cluster.backend": "machines", "block_io.queue_depth": 2}, 78, 208),
        ({"cluster.backend": "machines", "memory.kernel": "own-6.9.0-12345678"}, 94, 251),
    ],
    ids=str,
)
def test_a_scenario_s_reserve_follows_backend_and_kernel(
    changes: dict[str, object], needed: int, reserve: int
) -> None:
    scenario = load("control").with_overrides({"memory.reserve": "auto", **changes})
    assert sum(term.pages for term in sizing.size(scenario)) == needed
    assert sizing.reserve_pages(scenario) == reserve
    assert sizing.shortage(scenario) is None
    short = scenario.with_overrides({"memory.reserve": reserve - 1})
    assert f"{reserve - 1} pages, {reserve} are needed" in (sizing.shortage(short) or "")
