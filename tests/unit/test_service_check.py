"""Double writers and fail-over times, from histories written by hand."""

from __future__ import annotations

import pytest

from crunchbed.checks import service
from crunchbed.checks.judge import judge
from crunchbed.checks.membership import median_seconds
from crunchbed.checks.standstill import standstills
from crunchbed.scenario.loader import load
from tests.unit.recording import MS, Recording, ms

SCENARIO = load("target-failover").with_overrides({"faults": [], "expect": []})


def started() -> Recording:
    """n4 serves from 50 ms on; writes are acknowledged every 10 ms up to 2 s."""
    recording = Recording().complete().add(50, "service.start", "n4", target="n4", transport="nbd")
    recording.add(1, "run.info", seed=1, backend="linux-bridge", versions={})
    return acks(recording, 110, 2000)


def acks(recording: Recording, begin: int, end: int, node: str = "n1") -> Recording:
    for at in range(begin, end, 10):
        recording.ack(at, node, at - 5)
    return recording


def takeover(recording: Recording, at: int = 2600) -> Recording:
    recording.add(at, "service.start", "n5", target="n5", transport="nbd", taken_from="n4")
    return recording


def crashed() -> Recording:
    """n4 dies at 2 s, is fenced at 2.5 s, n5 serves at 2.6 s and writes go on from 3 s."""
    recording = started().add(2000, "node.down", target="n4", reason="crash")
    recording.add(2500, "fence.start", target="n4", by="n1")
    recording.add(2501, "fence.confirmed", target="n4", by="n1")
    return acks(takeover(recording), 3000, 9000)


def stalled() -> Recording:
    """n4 is only said to be fenced at 2.5 s and goes down at 3.5 s; n5 serves from 2.6 s on."""
    recording = started().add(2500, "fence.start", target="n4", by="n1")
    recording.add(2501, "fence.confirmed", target="n4", by="n1")
    recording.add(3500, "node.down", target="n4", reason="fence")
    return acks(takeover(recording), 3000, 9000)


def test_a_node_serves_until_it_stops_or_is_down() -> None:
    recording = crashed().add(9900, "service.stop", "n5", target="n5", reason="shutdown")
    assert service.servings(recording.history()) == [
        service.Serving("n4", ms(50, 2000)),
        service.Serving("n5", ms(2600, 9900)),
    ]


def test_one_after_the_other_is_no_double_writer() -> None:
    assert service.double_writers(crashed().history()) == []


def test_two_at_once_are_however_certain_the_fence_is_said_to_be() -> None:
    history = stalled().history()
    assert service.double_writers(history) == ["double writer: n4 and n5 both served for 0.900 s"]
    result = judge(history, SCENARIO)
    assert result.verdict == "fail"
    assert "double writer: n4 and n5 both served for 0.900 s" in result.reasons


def test_a_target_started_again_on_its_node_is_no_second_writer() -> None:
    recording = started().add(500, "service.stop", "n4", target="n4", reason="target ended (-9)")
    recording.add(520, "service.start", "n4", target="n4", transport="nbd")
    history = recording.history()
    assert service.double_writers(history) == []
    assert service.failovers(history) == []


def test_a_failover_lasts_from_the_last_write_before_to_the_first_after() -> None:
    (one,) = service.failovers(crashed().history())
    assert (one.node, one.t, one.length_ns) == ("n5", 2600 * MS, 1010 * MS)


def test_a_failover_that_no_write_followed_lasts_to_the_end() -> None:
    (one,) = service.failovers(takeover(started()).history())
    assert one.length_ns == (10_000 - 1990) * MS


def test_median_and_longest_of_several() -> None:
    recording = crashed()
    for at, node in ((9100, "n4"), (9500, "n5")):
        recording.add(at, "service.start", node, target=node, transport="nbd")
        acks(recording, at + 20, at + 100)
    found = service.failovers(recording.history())
    assert [one.node for one in found] == ["n5", "n4", "n5"]
    lengths = [one.length_ns for one in found]
    assert median_seconds(lengths) == pytest.approx(0.33)
    assert max(lengths) / 1e9 == pytest.approx(1.01)
    assert median_seconds([]) is None


def test_the_figures_are_those_of_who_took_over() -> None:
    result = judge(crashed().history(), SCENARIO)
    assert (result.totals.failovers, result.totals.failover_seconds) == (1, 1.01)
    assert result.nodes["n5"].failovers == 1
    assert result.nodes["n4"].failover_longest_seconds is None
    assert result.totals.value("failover_longest_seconds") == 1.01


def test_a_failover_is_no_standstill_of_the_testbed() -> None:
    assert standstills(crashed().history()) == []
    without = Recording().complete()
    acks(acks(without, 110, 2000), 3000, 9000)
    assert standstills(without.history()) == [ms(1990, 3000)]
