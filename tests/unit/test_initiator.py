"""Writeback over real NBD on the loopback interface; only the page pool is a stand-in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodes.block import initiator, verify
from nodes.block.initiator import Initiator
from nodes.block.pattern import BLOCK_BYTES
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines import LineClient
from tests.unit.nbd_target import ADDRESS, BYTES, Target, needs_nbdkit

pytestmark = needs_nbdkit


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path)
    yield target
    target.kill()


class State:
    """What the pool's memory shows."""

    dirty = 0
    demand = 0


class Pool:
    """Pages without a bound."""

    def __init__(self) -> None:
        self.state = State()
        self.cleaned = 0
        self.calmed = False

    def dirty(self, pages: int) -> None:
        self.state.dirty += pages

    def clean(self, pages: int) -> int:
        self.state.dirty -= pages
        self.cleaned += pages
        return pages

    def calm(self) -> None:
        self.calmed = True


class Events:
    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def emit(self, kind: str, *, t: int | None = None, **fields: Any) -> None:
        self.seen.append({"kind": kind, "t": t, **fields})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.seen if event["kind"] == kind]


CONFIG = {
    "node": "n1",
    "index": 0,
    "incarnation": 2,
    "pins": "unused",
    "address": ADDRESS,
    "first_block": 8,
    "region_blocks": 200,
    "queue_depth": 4,
    "request_blocks": 4,
    "dirty_rate": 2000,
}


class Running:
    """An initiator in a thread."""

    def __init__(self, target: Target, scratch: Path, patch: pytest.MonkeyPatch) -> None:
        self.pool, self.events = Pool(), Events()
        patch.setattr(initiator.PoolHandle, "open", lambda _: self.pool)
        patch.setattr(initiator, "connect_events", lambda _: self.events)
        self.control = scratch / "control"
        self.stop = threading.Event()
        self._target = target
        config = {**CONFIG, "port": target.port, "control": str(self.control)}
        self.initiator = Initiator(config)
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        class Stop:
            def __bool__(_) -> bool:  # noqa: N805
                return self.stop.is_set()

        self.initiator.run(Stop())  # type: ignore[arg-type]

    def writes(self) -> int:
        return len(self.events.of("write.ack"))

    def wait_for_writes(self, more: int) -> None:
        wanted = self.writes() + more
        wait_until(lambda: self.writes() >= wanted, 5, f"{more} more writes")

    def judge(self) -> dict[str, int]:
        rows = [
            (0, each["incarnation"], each["seq"], each["block"], each["blocks"])
            for each in self.events.of("write.ack")
        ]
        return verify.check(self._target.connect(), verify.newest(rows))


@pytest.fixture
def running(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    running = Running(target, tmp_path, monkeypatch)
    running.thread.start()
    wait_until(lambda: running.events.of("daemon.ready"), 5, "the initiator is ready")
    yield running
    running.stop.set()
    running.thread.join()
    assert not running.control.exists()


def test_dirty_pages_become_acknowledged_writes(running: Running) -> None:
    running.wait_for_writes(100)  # twice round the region
    running.stop.set()
    running.thread.join()
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
    in_flight = running.initiator._writeback.in_flight
    wait_until(lambda: len(in_flight) == 4, 5, "a full queue")
    target.kill()
    wait_until(lambda: running.events.of("io.disconnect"), 5, "it notices")
    target.start()
    wait_until(lambda: running.events.of("io.reconnect"), 5, "it connects again")
    running.wait_for_writes(20)
    running.stop.set()
    running.thread.join()
    written = {event["seq"] for event in running.events.of("write.ack")}
    assert set(range(1, max(written) - 4)) <= written
    assert running.events.of("write.error") == []
    assert running.judge()["lost"] == 0
    assert running.judge()["corrupt"] == 0


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


def test_the_target_is_filled_to_its_end(target: Target) -> None:
    assert target.connect().get_size() == BYTES
    assert BYTES % BLOCK_BYTES == 0
