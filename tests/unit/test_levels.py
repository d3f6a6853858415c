"""What a level of memory did to a machine, from the events of its window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crunchbed.checks.levels import Level, levels
from crunchbed.cli import app
from crunchbed.history.history import History
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.guests import GuestCounted, GuestWindow
from reserve_agent.contract.events.heartbeats import HeartbeatMissed, HeartbeatSent
from reserve_agent.contract.events.pressure import PoolConfigured
from reserve_agent.contract.events.writes import WriteAcknowledged

MS = 1_000_000
REACHED, ENDED = 1000 * MS, 1500 * MS
NO_FAILURE = {"atomic": 0, "fragment": 0, "nowait": 0, "memalloc": 0, "blocking": 0}


def at(ms: int, node: str, event: Event) -> Event:
    return event.stamped(ms * MS, node)


def window(**changes: Any) -> Event:
    made: dict[str, Any] = {
        "number": 0,
        "asked": REACHED,
        "begun": REACHED - 5 * MS,
        "reached": REACHED,
        "ended": ENDED,
        "hold_ns": ENDED - REACHED,
        "requested_pages": 50,
        "reached_pages": 50,
        "low_pages": 31,
        "ended_pages": 50,
        "taken_pages": 600,
        "refilled_pages": 9,
        "highatomic_pages": 0,
        "failed": {**NO_FAILURE, "atomic": 7, "fragment": 3, "memalloc": 2},
        "oom_calls": 0,
    }
    return at(1510, "n1", GuestWindow(**(made | changes)))


def counted(ms: int, drops: int) -> Event:
    names = "oom_calls direct_reclaims swapped_out_pages swapped_in_pages rx_packets rx_dropped"
    more = "rx_missed rx_fifo_errors tx_packets memalloc_sockets"
    counts: dict[str, Any] = dict.fromkeys(f"{names} {more}".split(), 0)
    event = GuestCounted(failed=NO_FAILURE, late_ns=0, pfmemalloc_drops=drops, **counts)
    return at(ms, "n1", event)


def heartbeats() -> list[Event]:
    """Five of n2 for n1 in the window, of which n1 misses three, and one before; four of n1."""
    sent = [at(ms, "n2", HeartbeatSent(peers=["n1"], tag=f"b{ms}")) for ms in range(950, 1500, 100)]
    own = [at(ms, "n1", HeartbeatSent(peers=["n2"], tag=f"a{ms}")) for ms in range(1010, 1400, 100)]
    missed = [("n1", "n2", f"b{ms}") for ms in (950, 1150, 1250, 1450)] + [("n2", "n1", "a1110")]
    return [
        *sent,
        *own,
        *(
            at(1600, node, HeartbeatMissed(peer=peer, deadline=1, tag=tag))
            for node, peer, tag in missed
        ),
    ]


def row(*events: Event, **changes: Any) -> Level:
    config = PoolConfigured(
        total=5000, reserve=200, clean=0, computed=0, policy="none", metrics_port=0
    )
    history = History(sorted([at(1, "n1", config), window(**changes), *events], key=lambda e: e.t))
    (found,) = levels(history)
    return found


def test_a_level_is_a_fraction_of_min_with_the_pages_and_failures_of_its_window() -> None:
    found = row()
    assert (found.level, found.seconds) == (0.25, 0.5)
    assert (found.reached_pages, found.low_pages, found.demand) == (50, 31, None)
    assert (found.failed_atomic, found.failed_fragment, found.failed_memalloc) == (7, 3, 2)


def test_heartbeats_count_that_were_sent_in_the_window() -> None:
    found = row(*heartbeats())
    assert (found.heard, found.due, found.hears) == (2, 5, "some")
    assert (found.arrived, found.sent) == (3, 4)


@pytest.mark.parametrize(("missed", "hears"), [(0, "all"), (1, "some"), (4, "none"), (5, "none")])
def test_one_heartbeat_at_the_edge_does_not_make_a_deaf_machine_hear(
    missed: int, hears: str
) -> None:
    times = range(1050, 1500, 100)
    sent = [at(ms, "n2", HeartbeatSent(peers=["n1"], tag=f"b{ms}")) for ms in times]
    lost = [
        at(1600, "n1", HeartbeatMissed(peer="n2", deadline=1, tag=f"b{ms}"))
        for ms in times[:missed]
    ]
    assert row(*sent, *lost).hears == hears


def test_the_longest_gap_between_writes_begins_in_the_window_or_lasts_into_it() -> None:
    def writes(*times: int) -> list[Event]:
        return [at(ms, "n1", WriteAcknowledged(submitted=1)) for ms in times]

    found = row(*writes(100, 900, 1020, 1300, 1900, 5000))
    assert (found.writes, found.write_gap_seconds) == (2, 0.6)
    assert row(*writes(100, 990, 1700)).write_gap_seconds == 0.7
    assert row(*writes(100, 990)).write_gap_seconds is None


def test_drops_after_the_window_are_told_apart() -> None:
    found = row(counted(900, 4), counted(1400, 10), counted(1590, 12), counted(3000, 40))
    assert (found.drops, found.late_drops) == (8, 28)


def test_a_window_that_never_reached_its_level_is_none() -> None:
    history = History([window(reached=None)])
    assert levels(history) == []


def test_a_directory_without_runs_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["levels", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"crunchbed: {tmp_path}: expected a run")
