"""Writeback over real NBD on the loopback interface; only the page pool is a stand-in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines.client import LineClient
from tests.unit.block_target import Target, needs_nbdkit
from tests.unit.live_initiator import Running

pytestmark = needs_nbdkit


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path)
    yield target
    target.kill()


@pytest.fixture
def running(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    running = Running(target, tmp_path, monkeypatch)
    running.begin()
    yield running
    running.end()
    assert not running.control.exists()


def test_dirty_pages_become_acknowledged_writes(running: Running) -> None:
    running.wait_for_writes(100)  # twice round the region
    running.end()
    assert running.pool.cleaned == 4 * running.writes()
    for write in running.events.of("write.ack"):
        assert write["submitted"] < write["t"]
        assert (write["incarnation"], write["blocks"], write["transport"]) == (2, 4, "nbd")
        assert 8 <= write["block"] <= 204
    counts = running.judge()
    assert counts == {"ok": 200, "lost": 0, "corrupt": 0}


def test_a_lost_connection_is_made_again_and_no_write_forgotten(
    running: Running, target: Target
) -> None:
    running.wait_for_writes(10)
    target.freeze()
    in_flight = running.initiator.task.in_flight
    wait_until(lambda: len(in_flight) == 4, 5, "a full queue")
    target.kill()
    wait_until(lambda: running.events.of("io.disconnect"), 5, "it notices")
    target.start()
    wait_until(lambda: running.events.of("io.reconnect"), 5, "it connects again")
    running.wait_for_writes(20)
    running.end()
    assert running.events.of("write.error") == []
    running.check_nothing_is_lost()


def test_the_run_commands_bursts(running: Running) -> None:
    client = LineClient(running.control)
    client.ask(op="burst", pages=400, rate=100_000, start_ns=time.monotonic_ns())
    wait_until(
        lambda: [e["dirtied"] for e in running.events.of("dirty.progress")][-1:] == [400],
        5,
        "all of it is dirtied",
    )
    assert running.events.of("dirty.progress")[-1]["requested"] == 400
    client.ask(op="calm")
    assert running.pool.calmed
    with pytest.raises(CrunchbedError, match="unknown operation 'frobnicate'"):
        client.ask(op="frobnicate")
    client.close()


def test_a_write_that_waits_too_long_for_a_connection_fails_and_is_written_later(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(target, tmp_path, monkeypatch, dead_conn_timeout=300_000_000)
    running.begin()
    running.wait_for_writes(10)
    target.freeze()
    in_flight = running.initiator.task.in_flight
    wait_until(lambda: len(in_flight) == 4, 5, "a full queue")
    target.kill()
    wait_until(lambda: len(running.events.of("write.error")) == 4, 5, "all of it fails")
    target.start()
    running.wait_for_writes(20)
    running.end()
    assert len(running.events.of("write.error")) == 4, "each of them once"
    running.check_nothing_is_lost()


def test_an_initiator_waits_for_its_target_to_come(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.kill()
    running = Running(target, tmp_path, monkeypatch)
    running.thread.start()
    client = LineClient(running.control)
    assert client.ask(op="calm") == {"ok": True}, "it takes commands meanwhile"
    client.close()
    assert running.events.of("daemon.ready") == []
    target.start()
    running.wait_for_writes(10)
    running.end()
    assert running.events.of("io.reconnect") == []


def test_what_is_submitted_without_a_connection_waits_for_one(
    running: Running, target: Target
) -> None:
    """An outage is a stall, whether anything was in flight when it began or not."""
    running.wait_for_writes(10)
    target.kill()
    wait_until(lambda: running.events.of("io.disconnect"), 5, "it notices")
    wait_until(lambda: len(running.initiator.task.in_flight) == 4, 5, "a full queue")
    waiting = set(running.initiator.task.in_flight)
    full = time.monotonic_ns()
    wait_until(lambda: time.monotonic_ns() > full + 500_000_000, 5, "time passes")
    target.start()
    running.wait_for_writes(10)
    late = [event for event in running.events.of("write.ack") if event["seq"] in waiting]
    assert len(late) == 4
    assert all(event["t"] - event["submitted"] > 500_000_000 for event in late)
    running.check_nothing_is_lost()


def test_what_is_submitted_after_the_time_out_fails_at_once(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(target, tmp_path, monkeypatch, dead_conn_timeout=0)
    running.begin()
    running.wait_for_writes(10)
    target.kill()
    wait_until(lambda: len(running.events.of("write.error")) == 4, 5, "a queue full of failures")
    target.start()
    running.wait_for_writes(20)
    running.end()
    assert len({event["seq"] for event in running.events.of("write.error")}) == 4
    running.check_nothing_is_lost()
