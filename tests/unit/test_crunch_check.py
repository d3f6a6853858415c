"""Whether a crunch was the one that was asked for."""

from __future__ import annotations

import pytest

from crunchbed.checks import crunch
from crunchbed.checks.validity import disturbed
from crunchbed.history.history import Interval
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from tests.unit.recording import MS, Recording, ms

OTHERS = ("n2", "n3")


def writeback_scenario() -> Scenario:
    return load("control").with_overrides(
        {"crunch": {"kind": "writeback", "target": "n1", "pages": 12000, "rate": 100_000}}
    )


def writeback(**fields: object) -> Recording:
    return Recording().complete().add(1200, "crunch.begin", target="n1", requested=fields)


@pytest.mark.parametrize(
    ("onset", "reason"),
    [
        (1449, None),
        (1451, "crunch off target: n1 came under memory pressure after 0.251 s, not within 0.250"),
        (None, "crunch off target: n1 never came under memory pressure"),
    ],
)
def test_a_writeback_crunch_must_bring_pressure_in_time(
    onset: float | None, reason: str | None
) -> None:
    recording = writeback(pages=12000, rate=100_000)
    recording.add(1300, "dirty.progress", "n1", requested=12000, dirtied=8000)
    if onset is not None:
        recording.pressure(onset, onset + 500, "n1")
    found = crunch.check(recording.history(), writeback_scenario())
    assert [one[: len(reason or "")] for one in found.off_target] == ([reason] if reason else [])
    assert found.requested == {"kind": "writeback", "target": "n1", "pages": 12000, "rate": 100_000}
    assert found.achieved is not None
    assert found.achieved["pages"] == 8000


@pytest.mark.parametrize(("onset", "count"), [(3199, 0), (3201, 1)])
def test_a_machine_has_two_seconds_until_there_is_pressure(onset: int, count: int) -> None:
    recording = writeback(pages=12000, rate=100_000).pressure(onset, onset + 500, "n1")
    recording.add(10, "guest.ready", "n1", kernel="6.1.0", uptime_ns=8)
    assert len(crunch.check(recording.history(), writeback_scenario()).off_target) == count


def test_pressure_that_was_there_before_counts_from_the_beginning() -> None:
    recording = writeback().pressure(1100, 1300, "n1")
    found = crunch.check(recording.history(), writeback_scenario())
    assert found.off_target == []
    assert found.achieved is not None
    assert found.achieved["pressure_after_seconds"] == 0


def test_pressure_on_another_node_or_before_the_crunch_does_not_count() -> None:
    recording = writeback().pressure(1250, 1300, "n2").pressure(1100, 1190, "n1")
    found = crunch.check(recording.history(), writeback_scenario())
    assert found.off_target == ["crunch off target: n1 never came under memory pressure"]


def timed_scenario(count: int = 10) -> Scenario:
    return load("control").with_overrides({"crunch": {"kind": "timed", "count": count}})


def timed(windows: list[Interval]) -> Recording:
    return Recording().complete().add(1200, "crunch.begin", target="n1", windows=windows)


def windows(count: int = 10) -> list[Interval]:
    return [ms(1200 + 10 * n, 1200.05 + 10 * n) for n in range(count)]


@pytest.mark.parametrize(
    ("lacking", "short_by", "reason"),
    [
        (0, 0.0, None),
        (0, 0.0004, None),
        (0, 0.0006, "crunch off target: 0.000494 s of pressure in windows of 0.000500 s on n1"),
        (1, 0.0, "crunch off target: pressure in 9 of 10 windows on n1"),
        (10, 0.0, "crunch off target: pressure in 0 of 10 windows on n1"),
    ],
)
def test_a_timed_crunch_must_fill_its_windows(
    lacking: int, short_by: float, reason: str | None
) -> None:
    recording = timed(windows())
    for window in windows()[lacking:]:
        recording.pressure(window.start / MS, window.end / MS - short_by, "n1")
    found = crunch.check(recording.history(), timed_scenario())
    assert found.off_target == ([reason] if reason else [])


def test_pressure_outside_the_windows_does_not_make_up_for_it() -> None:
    recording = timed(windows())
    for window in windows():
        recording.pressure(window.end / MS + 1, window.end / MS + 2, "n1")
    found = crunch.check(recording.history(), timed_scenario())
    assert found.off_target == ["crunch off target: pressure in 0 of 10 windows on n1"]


def test_windows_after_the_nodes_fence_are_not_asked_for() -> None:
    long = timed_scenario(1)
    recording = timed([ms(1200, 4200)]).pressure(1200, 4200, "n1")
    recording.fence(1800, "n1", view=2, observers=OTHERS)
    found = crunch.check(recording.history(), long)
    assert found.off_target == []
    assert found.achieved is not None
    assert found.achieved["pressure_seconds"] == found.achieved["seconds_while_up"] == 0.6
    assert found.requested is not None
    assert found.requested["pressure_seconds"] == 3.0


def test_a_crunch_ends_where_its_node_goes_down() -> None:
    recording = timed([ms(1200, 4200), ms(5200, 8200)]).pressure(1200, 1800, "n1")
    recording.fence(1800, "n1", view=2, observers=OTHERS)
    recording.rejoin(3800, "n1", view=3, observers=OTHERS)
    found = crunch.check(recording.history(), timed_scenario(2))
    assert found.off_target == []
    assert found.achieved is not None
    assert found.achieved["windows_while_up"] == 1
    assert found.achieved["seconds_while_up"] == 0.6


def test_windows_of_a_node_that_is_down_are_not_asked_for() -> None:
    recording = timed([ms(1900, 2000)]).fence(1100, "n1", view=2, observers=OTHERS)
    found = crunch.check(recording.history(), timed_scenario(1))
    assert found.off_target == ["crunch off target: n1 was down in every window"]


def test_a_crunch_without_its_windows_or_its_begin_is_off_target() -> None:
    found = crunch.check(timed(windows(9)).history(), timed_scenario())
    assert found.off_target == ["the history has 9 of the crunch's 10 windows"]
    never = crunch.check(Recording().complete().history(), timed_scenario())
    assert never.off_target == ["the crunch was never begun"]


def crowd(*begins: tuple[float, str]) -> Recording:
    """A window of a second from each of these moments, in milliseconds."""
    recording = Recording().complete()
    for begin, node in begins:
        windows, asked = [ms(begin, begin + 1000)], {"windows": 1, "pressure_seconds": 1.0}
        recording.add(begin, "crunch.begin", target=node, windows=windows, requested=asked)
    return recording


def crowd_scenario() -> Scenario:
    keys = {"kind": "timed", "share": 1, "apart": "500ms", "length": "1s", "every": "1s"}
    return load("control").with_overrides({"crunch": {**keys, "count": 1}})


def test_the_crunches_of_many_nodes_count_together() -> None:
    recording = crowd((1200, "n1"), (1700, "n2"), (2200, "n3"))
    for begin, node in ((1200, "n1"), (1700, "n2"), (2200, "n3")):
        recording.pressure(begin, begin + 1000, node)
    found = crunch.check(recording.history(), crowd_scenario())
    assert found.off_target == []
    assert found.requested is not None
    assert found.achieved is not None
    assert {"nodes": 3, "windows": 3, "pressure_seconds": 3.0}.items() <= found.requested.items()
    assert {"nodes": 3, "pressure_episodes": 3}.items() <= found.achieved.items()
    assert found.achieved["pressure_seconds"] == 3.0


def test_one_of_many_without_pressure_is_off_target_unless_it_was_down_in_its_turn() -> None:
    recording = crowd((1200, "n1"), (1700, "n2")).pressure(1200, 2200, "n1")
    found = crunch.check(recording.history(), crowd_scenario())
    assert found.off_target == ["crunch off target: pressure in 0 of 1 windows on n2"]
    recording.fence(1600, "n2", view=2, observers=("n1", "n3"))
    found = crunch.check(recording.history(), crowd_scenario())
    assert found.off_target == []
    assert found.achieved is not None
    assert found.achieved["nodes"] == 1


def guest_window(
    recording: Recording, asked: float, reached: float, length: float, pages: tuple[int, int]
) -> None:
    """What a machine's module says of a window, with the pressure that it made."""
    requested, got = pages
    zeros = dict.fromkeys(
        ("taken_pages", "refilled_pages", "highatomic_pages", "oom_calls", "ended_pages"), 0
    )
    recording.add(
        reached + length,
        "guest.window",
        "n1",
        number=0,
        asked=ms(asked, asked + 1).start,
        begun=ms(reached, reached + 1).start,
        reached=ms(reached, reached + 1).start,
        ended=ms(reached, reached + length).end,
        hold_ns=ms(0, length).length,
        requested_pages=requested,
        reached_pages=got,
        low_pages=got,
        failed={},
        **zeros,
    )
    recording.pressure(reached, reached + length, "n1")


def test_a_window_of_a_machine_counts_where_its_module_held_it() -> None:
    recording = timed([ms(1200, 1250), ms(1400, 1450)])
    guest_window(recording, 1200, 1208, 50, (55, 56))
    guest_window(recording, 1400, 1403, 50, (55, 52))
    found = crunch.check(recording.history(), timed_scenario(2))
    assert found.off_target == []
    assert found.achieved is not None
    assert found.achieved["pressure_seconds"] == found.achieved["seconds_while_up"] == 0.1


def test_a_window_that_its_module_did_not_hold_or_held_too_briefly_is_off_target() -> None:
    recording = timed([ms(1200, 1250), ms(1400, 1450)])
    guest_window(recording, 1200, 1208, 40, (55, 55))
    found = crunch.check(recording.history(), timed_scenario(2))
    assert found.off_target == ["crunch off target: pressure in 1 of 2 windows on n1"]


@pytest.mark.parametrize(("end", "held"), [(1330, True), (1300, False)])
def test_a_window_in_which_a_machine_lost_its_power_began_with_its_pressure(
    end: float, held: bool
) -> None:
    recording = timed([ms(1200, 1400)]).pressure(1220, end, "n1")
    recording.add(10, "guest.ready", "n1", kernel="6.1.0", uptime_ns=8)
    recording.add(1320, "node.down", target="n1")
    found = crunch.check(recording.history(), timed_scenario(1))
    assert (found.off_target == []) is held


def test_a_level_that_is_off_by_more_than_three_pages_is_off_target() -> None:
    recording = timed([ms(1200, 1250), ms(1400, 1450)])
    guest_window(recording, 1200, 1200, 50, (55, 59))
    guest_window(recording, 1400, 1400, 50, (55, 58))
    found = crunch.check(recording.history(), timed_scenario(2))
    assert found.off_target == [
        "crunch off target: 1 of 2 windows on n1 were more than 3 pages off their level, "
        "4 pages at most"
    ]


def test_a_scenario_without_a_crunch_asks_for_nothing() -> None:
    found = crunch.check(Recording().complete().history(), load("control"))
    assert (found.requested, found.achieved, found.off_target) == (None, None, [])


def test_the_most_windows_are_judged_quickly() -> None:
    many = [ms(1200 + n, 1200.5 + n) for n in range(4096)]
    recording = Recording().complete().add(1200, "crunch.begin", target="n1", windows=many)
    for window in many:
        recording.pressure(window.start / MS, window.end / MS, "n1")
    scenario = timed_scenario().with_overrides({"crunch.every": "1ms", "crunch.count": 4096})
    found = crunch.check(recording.history(), scenario)
    assert found.off_target == []


def bursting() -> Recording:
    recording = Recording().complete().fault(1200, 1300, "burst", "n2", pages=10)
    return recording.add(1220, "burst.begin", target="n2", pages=10)


@pytest.mark.parametrize(
    ("node", "begin", "end", "idle"),
    [
        ("n2", 1225, 1240, False),
        ("n2", 1100, 1230, False),  # the node was out of memory already
        ("n2", 1390, 1500, False),  # the daemon was late, and the burst was over at once
        ("n2", 1450, 1500, True),
        ("n2", 1100, 1210, True),
        ("n1", 1225, 1240, True),
    ],
)
def test_a_burst_that_finds_its_pages_is_off_target(
    node: str, begin: float, end: float, idle: bool
) -> None:
    history = bursting().pressure(begin, end, node).history()
    reason = "burst of n2: n2 never came under memory pressure"
    assert list(crunch.idle_bursts(history)) == ([reason] if idle else [])
    assert (f"fault off target: {reason}" in disturbed(history, load("control"))) == idle


def test_a_burst_whose_work_never_moved_is_none() -> None:
    waiting = Recording().complete().fault(1200, 1300, "burst", "n2", pages=10, from_="n1")
    assert list(crunch.idle_bursts(waiting.history())) == []
