"""Writeback over real NBD on the loopback interface; only the page pool is a stand-in."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbd
import pytest

from nodes.block import initiator, verify
from nodes.block.initiator import Initiator
from nodes.block.nbd_transport import NbdTransport
from nodes.block.pattern import BLOCK_BYTES, Stamp, request
from nodes.block.target import is_listening, nbdkit_argv
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines import LineClient

pytestmark = pytest.mark.skipif(shutil.which("nbdkit") is None, reason="nbdkit is not installed")
ADDRESS, BYTES = "127.0.0.1", 1 << 20


class Target:
    """nbdkit, to be killed and started again on the same port and with the same data."""

    def __init__(self, scratch: Path, *filters: str) -> None:
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            self.port = probe.getsockname()[1]
        self.disk = scratch / "disk"
        self.disk.write_bytes(bytes(BYTES))
        self._filters = filters
        self.start()

    def start(self) -> None:
        plain = nbdkit_argv(ADDRESS, self.port, BYTES)
        argv = [*plain[: plain.index("memory")], *self._filters[:1], "file", str(self.disk)]
        self.process = subprocess.Popen([*argv, *self._filters[1:]])
        wait_until(lambda: is_listening(ADDRESS, self.port), 5, "nbdkit listens")

    def freeze(self) -> None:
        """From here on it answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def connect(self) -> nbd.NBD:
        handle = nbd.NBD()
        handle.connect_tcp(ADDRESS, str(self.port))
        return handle


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path)
    yield target
    target.kill()


# --- the transport


class Wire:
    """A transport and what it has reported."""

    def __init__(self, target: Target) -> None:
        self.acknowledged: list[int] = []
        self.failed: list[tuple[int, str]] = []
        self.selector = selectors.DefaultSelector()
        self.transport = NbdTransport(
            ADDRESS, target.port, self.selector, self.acknowledged.append, self._fail
        )

    def _fail(self, sequence: int, error: str) -> None:
        self.failed.append((sequence, error))
        if len(self.failed) < 3:
            self.write(sequence)  # what deadlocks in libnbd's own callback

    def write(self, sequence: int) -> None:
        self.transport.write(sequence, request(Stamp(0, 0, sequence, 0), 1), 0)

    def serve_until(self, condition: Callable[[], object]) -> None:
        until = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < until
            self.transport.serve(0.05)


def test_writes_are_acknowledged(target: Target) -> None:
    wire = Wire(target)
    for sequence in (1, 2, 3):
        wire.write(sequence)
    wire.serve_until(lambda: len(wire.acknowledged) == 3)
    assert (sorted(wire.acknowledged), wire.failed) == ([1, 2, 3], [])
    wire.transport.close()


def test_other_sockets_of_the_selector_are_served(target: Target) -> None:
    wire = Wire(target)
    one, other = socket.socketpair()
    with one, other:
        called: list[bytes] = []
        wire.selector.register(one, selectors.EVENT_READ, lambda: called.append(one.recv(9)))
        other.send(b"word")
        wire.serve_until(lambda: called)
    wire.transport.close()


def test_a_failed_write_may_be_written_again_at_once(tmp_path: Path) -> None:
    target = Target(tmp_path, "--filter=error", "error-pwrite=EIO", "error-pwrite-rate=100%")
    try:
        wire = Wire(target)
        wire.write(1)
        wire.serve_until(lambda: len(wire.failed) == 3)
        assert wire.failed == [(1, "errno 5")] * 3
        assert wire.acknowledged == []
        wire.transport.close()
    finally:
        target.kill()


def test_a_lost_connection_is_one_error_and_no_failed_writes(target: Target) -> None:
    wire = Wire(target)
    target.freeze()
    for sequence in range(5):
        wire.write(sequence)
    wire.transport.serve(0.05)
    target.kill()
    with pytest.raises(CrunchbedError, match="NBD connection lost"):
        wire.serve_until(lambda: False)
    assert (wire.acknowledged, wire.failed) == ([], [])
    with pytest.raises(CrunchbedError, match="NBD write"):
        wire.write(9)
    wire.transport.close()


def test_closing_hangs_up(target: Target) -> None:
    wire = Wire(target)
    descriptor = wire.transport._fd
    wire.transport.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert list(wire.selector.get_map()) == []


def test_nobody_listens(target: Target) -> None:
    target.kill()
    with pytest.raises(CrunchbedError, match=f"NBD target 127.0.0.1:{target.port}: .*refused"):
        Wire(target)


# --- the initiator


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
