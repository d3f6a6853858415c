"""The NBD transport against a target that fails, freezes and dies."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodes.block.nbd_transport import NbdTransport
from nodes.block.pattern import Stamp, request_bytes
from nodes.block.transport import Endpoint, Reports
from reserve_agent.errors import CrunchbedError
from tests.unit.block_target import ADDRESS, Target, needs_nbdkit

pytestmark = needs_nbdkit


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path)
    yield target
    target.kill()


class Wire:
    """A transport and what it has reported."""

    def __init__(self, target: Target, timeout_ns: int = 0) -> None:
        self.acknowledged: list[int] = []
        self.failed: list[tuple[int, str]] = []
        self.selector = selectors.DefaultSelector()
        self.transport = NbdTransport(
            Endpoint(ADDRESS, target.port, 65536),
            timeout_ns,
            self.selector,
            Reports(self.acknowledged.append, self._fail),
        )
        try:
            self.serve_until(lambda: self.transport.ready)
        except CrunchbedError:
            self.transport.close()
            raise

    def _fail(self, sequence: int, error: str) -> None:
        self.failed.append((sequence, error))
        if len(self.failed) < 3:
            self.write(sequence)  # what deadlocks in libnbd's own callback

    def write(self, sequence: int) -> None:
        self.transport.write(sequence, request_bytes(Stamp(0, 0, sequence, 0), 1), 0)

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
    descriptor = wire.transport._handle.aio_get_fd()
    assert os.fstat(descriptor)
    wire.transport.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert list(wire.selector.get_map()) == []


def test_nobody_listens(target: Target) -> None:
    target.kill()
    with pytest.raises(CrunchbedError, match=f"NBD target 127.0.0.1:{target.port}: .*refused"):
        Wire(target)


def test_a_request_without_an_answer_ends_the_connection(target: Target) -> None:
    wire = Wire(target, timeout_ns=300_000_000)
    target.freeze()
    begun = time.monotonic()
    wire.write(1)
    with pytest.raises(CrunchbedError, match="NBD connection lost: a request was not answered"):
        wire.serve_until(lambda: False)
    assert 0.3 <= time.monotonic() - begun < 2
    wire.transport.close()


def test_without_a_timeout_it_is_waited_for(target: Target) -> None:
    wire = Wire(target)
    target.freeze()
    wire.write(1)
    for _ in range(10):
        wire.transport.serve(0.05)
    target.thaw()
    wire.serve_until(lambda: wire.acknowledged)
    wire.transport.close()


def test_an_attempt_to_connect_ends(target: Target) -> None:
    target.freeze()  # TCP connects, NBD does not greet
    with pytest.raises(CrunchbedError, match=r"NBD target 127.0.0.1:\d+: no answer"):
        Wire(target)
