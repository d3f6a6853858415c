"""Initiators over real targets that are killed, frozen, and started again."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nodes.block.config import IscsiConfig
from nodes.block.iscsi_transport import IscsiTransport
from nodes.block.pattern import Stamp, request_bytes
from nodes.block.transport import Endpoint, LoginRefused, Reports
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError
from tests.unit.block_target import ADDRESS, Target, free_port
from tests.unit.live_initiator import SECOND, Running

pytestmark = pytest.mark.root
CHAP = ("me", "twelve-chars")


@pytest.fixture(params=["nbd", "iscsi"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path, transport=request.param)
    yield target
    target.kill()


@pytest.fixture
def iscsi(tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path, transport="iscsi", chap=CHAP)
    yield target
    target.kill()


@pytest.fixture
def running(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    running = Running(target, tmp_path, monkeypatch)
    running.begin()
    yield running
    running.end()


def full_queue(running: Running) -> None:
    in_flight = running.initiator.task.in_flight
    wait_until(lambda: len(in_flight) == 4, 5, "a full queue")


# --- kill -9 in the middle


@pytest.mark.parametrize("times", [3])
def test_a_killed_target_comes_back_and_no_acknowledged_write_is_lost(
    running: Running, target: Target, times: int
) -> None:
    for _ in range(times):
        running.wait_for_writes(60)
        target.kill()
        running.check_nothing_is_lost()  # with nobody serving: the file has it
        wait_until(lambda: not running.initiator._connection.up, 5, "it notices")
        target.start()
        running.wait_for_writes(1)
    running.end()
    running.check_nothing_is_lost()
    assert running.events.of("write.error") == []
    assert len(running.events.of("io.reconnect")) == times
    transports = {event["transport"] for event in running.events.of("write.ack")}
    assert transports == {target.settings.transport}


def test_what_was_in_flight_on_a_frozen_target_is_written_again(
    running: Running, target: Target
) -> None:
    running.wait_for_writes(20)
    target.freeze()
    full_queue(running)
    target.kill()
    target.start()
    running.wait_for_writes(20)
    running.end()
    running.check_nothing_is_lost()


def test_writes_fail_when_no_connection_comes_in_time_and_are_written_later(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"nbd": "dead_conn_timeout", "iscsi": "replacement_timeout"}
    limit = {names[target.settings.transport]: SECOND // 2}
    running = Running(target, tmp_path, monkeypatch, **limit)
    running.begin()
    running.wait_for_writes(20)
    target.freeze()
    full_queue(running)
    target.kill()
    wait_until(lambda: running.events.of("io.disconnect"), 5, "it notices")
    begun = time.monotonic()
    wait_until(lambda: len(running.events.of("write.error")) == 4, 5, "all of it fails")
    assert time.monotonic() - begun > 0.3
    target.start()
    running.wait_for_writes(20)
    running.end()
    assert len(running.events.of("write.error")) == 4
    running.check_nothing_is_lost()


# --- the iSCSI session


class Wire:
    """A session and what it reported."""

    def __init__(self, target: Target, **settings: Any) -> None:
        self.acknowledged: list[int] = []
        self.failed: list[tuple[int, str]] = []
        self.selector = selectors.DefaultSelector()
        self.transport = IscsiTransport(
            Endpoint(ADDRESS, target.port, 65536),
            "n1",
            1,
            IscsiConfig(**settings),
            self.selector,
            Reports(self.acknowledged.append, lambda *what: self.failed.append(what)),
        )

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()
        assert list(self.selector.get_map()) == []
        self.selector.close()

    def log_in(self) -> Wire:
        self.serve_until(lambda: self.transport.ready)
        return self

    def write(self, sequence: int, blocks: int = 1) -> None:
        data = request_bytes(Stamp(0, 0, sequence, sequence), blocks)
        self.transport.write(sequence, data, sequence * 4096)

    def serve_until(self, condition: Callable[[], object], seconds: float = 5) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until
            self.transport.serve(0.02)


def test_writes_of_all_sizes_arrive_whole(iscsi: Target) -> None:
    with Wire(iscsi, chap=CHAP).log_in() as wire:
        for sequence, blocks in ((1, 1), (10, 2), (20, 4), (40, 128)):
            wire.write(sequence, blocks)
        wire.serve_until(lambda: len(wire.acknowledged) == 4)
        assert (sorted(wire.acknowledged), wire.failed) == ([1, 10, 20, 40], [])
    written = iscsi.disk.read_bytes()
    for sequence, blocks in ((1, 1), (10, 2), (20, 4), (40, 128)):
        data = request_bytes(Stamp(0, 0, sequence, sequence), blocks)
        assert written[sequence * 4096 :][: len(data)] == data


def test_more_than_the_target_s_window_is_queued(iscsi: Target) -> None:
    """The window of tgtd is 128 commands."""
    with Wire(iscsi, chap=CHAP).log_in() as wire:
        for sequence in range(240):
            wire.write(sequence)
        wire.serve_until(lambda: len(wire.acknowledged) == 240)
        assert sorted(wire.acknowledged) == list(range(240))


@pytest.mark.parametrize("chap", [None, ("me", "another-one!"), ("you", "twelve-chars")])
def test_a_login_without_the_right_secret_is_refused(
    iscsi: Target, chap: tuple[str, str] | None
) -> None:
    with (
        Wire(iscsi, chap=chap) as wire,
        pytest.raises(LoginRefused, match=rf"{ADDRESS}:{iscsi.port}"),
    ):
        wire.log_in()


def test_an_initiator_with_a_wrong_secret_ends_with_the_reason(
    iscsi: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chap = ("me", "another-one!")
    running = Running(iscsi, tmp_path, monkeypatch, chap=chap)
    running.thread.start()
    running.thread.join(10)
    assert isinstance(running.error, LoginRefused)
    assert not running.thread.is_alive()
    assert not running.control.exists()


def test_a_write_past_the_end_fails_with_the_target_s_words(iscsi: Target) -> None:
    with Wire(iscsi, chap=CHAP).log_in() as wire:
        wire.write(256)
        wire.serve_until(lambda: wire.failed)
        ((sequence, words),) = wire.failed
        assert sequence == 256
        assert "ILLEGAL_REQUEST" in words
        wire.write(1)
        wire.serve_until(lambda: wire.acknowledged)


def test_a_frozen_target_is_given_up_after_its_noop_out_timeout(iscsi: Target) -> None:
    times = {"noop_out_interval": SECOND // 5, "noop_out_timeout": SECOND // 5}
    with Wire(iscsi, chap=CHAP, **times).log_in() as wire:
        idle_until = time.monotonic() + 1.5
        wire.serve_until(lambda: time.monotonic() > idle_until)  # an idle one is asked, and answers
        iscsi.freeze()
        frozen = time.monotonic()
        with pytest.raises(CrunchbedError, match="iSCSI connection lost: a NOP-Out was not answe"):
            wire.serve_until(lambda: False)
        assert 0.2 <= time.monotonic() - frozen < 1.5


def test_without_noop_outs_a_frozen_target_is_waited_for(iscsi: Target) -> None:
    with Wire(iscsi, chap=CHAP, noop_out_interval=0).log_in() as wire:
        iscsi.freeze()
        wire.write(1)
        waited_until = time.monotonic() + 1
        wire.serve_until(lambda: time.monotonic() > waited_until)
        iscsi.thaw()
        wire.serve_until(lambda: wire.acknowledged)


def test_a_login_has_a_time_out(iscsi: Target) -> None:
    iscsi.freeze()
    begun = time.monotonic()
    with (
        Wire(iscsi, chap=CHAP, login_timeout=SECOND // 2) as wire,
        pytest.raises(CrunchbedError, match="no answer within the login time-out"),
    ):
        wire.log_in()
    assert 0.5 <= time.monotonic() - begun < 2


def test_nobody_listens(iscsi: Target) -> None:
    iscsi.kill()
    expected = pytest.raises(CrunchbedError, match=rf"iSCSI target {ADDRESS}:{iscsi.port}: ")
    with Wire(iscsi, chap=CHAP) as wire, expected:
        wire.log_in()


@pytest.mark.parametrize("busy", [True, False])
def test_a_killed_target_is_a_lost_connection(iscsi: Target, busy: bool) -> None:
    with Wire(iscsi, chap=CHAP).log_in() as wire:
        if busy:
            iscsi.freeze()
            for sequence in range(8):
                wire.write(sequence)
            wire.transport.serve(0.02)
        iscsi.kill()
        with pytest.raises(CrunchbedError, match="iSCSI connection lost"):
            wire.serve_until(lambda: False)
        assert (wire.acknowledged, wire.failed) == ([], [])
        with pytest.raises(CrunchbedError, match="iSCSI connection lost"):
            wire.write(9)
            wire.transport.serve(0.0)


def _open_sockets() -> set[int]:
    """Return the inodes of the sockets that this process has open."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the directory itself was one of them
            name = str(path.readlink())
            if name.startswith("socket:["):
                found.add(int(name[8:-1]))
    return found


def test_closing_hangs_up_with_writes_in_flight(iscsi: Target) -> None:
    with Wire(iscsi, chap=CHAP).log_in() as wire:
        iscsi.freeze()
        for sequence in range(8):
            wire.write(sequence, blocks=8)
        wire.transport.serve(0.02)
        connection = os.fstat(wire.transport._watched.fileno()).st_ino
        assert connection in _open_sockets()
    assert connection not in _open_sockets()
    assert (wire.acknowledged, wire.failed) == ([], [])


def test_a_new_login_ends_what_is_left_of_the_old_session(iscsi: Target) -> None:
    lost = pytest.raises(CrunchbedError, match="iSCSI connection lost")
    with Wire(iscsi, chap=CHAP).log_in() as old, Wire(iscsi, chap=CHAP).log_in(), lost:
        old.serve_until(lambda: False)


# --- targets


def test_two_targets_serve_one_file_in_turn_and_at_once(iscsi: Target, tmp_path: Path) -> None:
    """Each with a portal and a control socket of its own."""
    first = iscsi.process
    iscsi.start(port=free_port(), control=tmp_path / "other")
    assert first.poll() is None
    first.kill()
