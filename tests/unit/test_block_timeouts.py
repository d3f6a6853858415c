"""The time-outs of initiators, without a connection."""

from __future__ import annotations

import selectors
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.block.reconnect import RETRY_NS, Reconnecting
from nodes.block.timeouts import Keepalive, Outage, Requests
from nodes.block.transport import LoginRefused
from reserve_agent.errors import CrunchbedError

SECOND = 1_000_000_000


def test_a_silent_connection_is_asked_once_and_then_given_up() -> None:
    keepalive = Keepalive(5 * SECOND, 2 * SECOND, now_ns=0)
    assert not keepalive.ask_now(5 * SECOND - 1)
    assert keepalive.ask_now(5 * SECOND)
    assert not keepalive.ask_now(6 * SECOND)
    assert not keepalive.dead(7 * SECOND - 1)
    assert keepalive.dead(7 * SECOND)


def test_whatever_arrives_is_an_answer() -> None:
    keepalive = Keepalive(5 * SECOND, 2 * SECOND, now_ns=0)
    assert keepalive.ask_now(5 * SECOND)
    keepalive.heard(6 * SECOND)
    assert not keepalive.dead(100 * SECOND), "nobody was asked since"
    assert not keepalive.ask_now(11 * SECOND - 1)
    assert keepalive.ask_now(11 * SECOND)


def test_zero_asks_never_and_waits_for_ever() -> None:
    assert not Keepalive(0, SECOND, 0).ask_now(10**15)
    patient = Keepalive(SECOND, 0, 0)
    assert patient.ask_now(SECOND)
    assert not patient.dead(10**15)


@given(st.lists(st.integers(1, SECOND), max_size=40), st.integers(1, 10), st.integers(1, 10))
def test_a_connection_that_speaks_within_the_interval_lives(
    gaps: list[int], interval: int, timeout: int
) -> None:
    keepalive, now = Keepalive(interval * SECOND + 1, timeout, 0), 0
    for gap in gaps:
        now += gap
        assert not keepalive.ask_now(now)
        assert not keepalive.dead(now)
        keepalive.heard(now)


def test_the_oldest_request_decides() -> None:
    requests = Requests(SECOND)
    requests.sent(1, 0)
    requests.sent(2, SECOND // 2)
    assert not requests.overdue(SECOND - 1)
    assert requests.overdue(SECOND)
    requests.answered(1)
    assert not requests.overdue(SECOND)
    assert requests.overdue(SECOND + SECOND // 2)
    requests.answered(2)
    requests.answered(2)
    assert not requests.overdue(10 * SECOND)


def test_a_request_is_waited_for_without_a_timeout() -> None:
    requests = Requests(0)
    requests.sent(1, 0)
    assert not requests.overdue(10**15)


def test_an_outage_expires_once() -> None:
    outage = Outage(120 * SECOND)
    assert not outage.expired(10**15)
    outage.begin(SECOND)
    assert not outage.expired(121 * SECOND - 1)
    assert outage.expired(121 * SECOND)
    assert not outage.expired(500 * SECOND)
    outage.begin(600 * SECOND)
    outage.end()
    assert not outage.expired(10**15)


def test_zero_fails_at_once_and_none_never() -> None:
    for limit, expires in ((0, True), (None, False)):
        outage = Outage(limit)
        outage.begin(SECOND)
        assert outage.expired(SECOND) is expires


class Wire:
    """A transport that does what it is told."""

    name = "wire"

    def __init__(self) -> None:
        self.ready = False
        self.error: Exception | None = None
        self.refuses_writes = False
        self.written: list[int] = []
        self.closed = False

    def write(self, sequence: int, _data: bytearray, _offset: int) -> None:
        if self.refuses_writes:
            raise CrunchbedError("write refused")
        self.written.append(sequence)

    def serve(self, _timeout: float) -> None:
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True


class Bench:
    """A connection over wires, its clock, and what its listener heard."""

    def __init__(self, limit_ns: int | None = None) -> None:
        self.now = 0
        self.wires: list[Wire] = []
        self.heard: list[object] = []
        self.fails_to_connect = False
        self.link = Reconnecting(
            self._connect, limit_ns, selectors.DefaultSelector(), self, lambda: self.now
        )

    def _connect(self) -> Wire:
        if self.fails_to_connect:
            raise CrunchbedError("nobody")
        self.wires.append(Wire())
        return self.wires[-1]

    def connected(self, *, first: bool) -> None:
        self.heard.append(("up", first))

    def disconnected(self, reason: str) -> None:
        self.heard.append(("down", reason))

    def given_up(self) -> None:
        self.heard.append("given up")

    def serve(self, seconds: float = 0.0, until: Callable[[], object] | None = None) -> None:
        end = self.now + int(seconds * SECOND)
        while True:
            self.link.serve(0.0)
            if self.now >= end or (until is not None and until()):
                return
            self.now += SECOND // 100

    def come_up(self) -> None:
        known = len(self.wires)
        self.serve(5, lambda: len(self.wires) > known)
        self.wires[-1].ready = True
        self.serve()


def test_a_link_comes_up_breaks_and_comes_up_again() -> None:
    bench = Bench()
    assert not bench.link.write(1, bytearray(), 0)
    bench.come_up()
    assert bench.link.write(1, bytearray(), 0)
    bench.wires[0].error = CrunchbedError("cut")
    bench.serve()
    assert bench.wires[0].closed
    assert not bench.link.write(2, bytearray(), 0)
    bench.come_up()
    assert bench.link.write(2, bytearray(), 0)
    assert bench.heard == [("up", True), ("down", "cut"), ("up", False)]


def test_a_write_that_finds_the_connection_broken_takes_the_link_down() -> None:
    bench = Bench()
    bench.come_up()
    bench.wires[0].refuses_writes = True
    assert not bench.link.write(1, bytearray(), 0)
    assert bench.heard[1:] == [("down", "write refused")]
    bench.come_up()
    assert bench.heard[2:] == [("up", False)]


def test_attempts_are_spaced() -> None:
    bench = Bench()
    bench.come_up()
    bench.wires[0].error = CrunchbedError("cut")
    bench.serve()
    cut = bench.now
    bench.serve(5, lambda: len(bench.wires) > 1)
    assert bench.now - cut >= RETRY_NS


@pytest.mark.parametrize("fails_to_connect", [True, False])
def test_io_is_given_up_once_and_attempts_go_on(fails_to_connect: bool) -> None:
    bench = Bench(limit_ns=2 * SECOND)
    bench.come_up()
    bench.fails_to_connect = fails_to_connect
    bench.wires[0].error = CrunchbedError("cut")
    bench.serve()
    bench.serve(1.9)
    assert "given up" not in bench.heard
    bench.serve(10)
    assert bench.heard.count("given up") == 1
    bench.fails_to_connect = False
    if fails_to_connect:
        bench.come_up()
    else:
        bench.wires[-1].ready = True
        bench.serve()
    assert bench.heard[-1] == ("up", False)


def test_an_outage_is_not_over_before_the_login_is() -> None:
    bench = Bench(limit_ns=SECOND)
    bench.come_up()
    bench.wires[0].error = CrunchbedError("cut")
    bench.serve(3)
    assert len(bench.wires) == 2, "it has begun to connect"
    assert bench.heard[-1] == "given up"


def test_the_first_login_that_is_refused_is_final_and_a_later_one_is_not() -> None:
    bench = Bench()
    bench.serve()
    bench.wires[0].error = LoginRefused("wrong secret")
    with pytest.raises(LoginRefused):
        bench.serve()
    later = Bench()
    later.come_up()
    later.wires[0].error = CrunchbedError("cut")
    later.serve(5, lambda: len(later.wires) > 1)
    later.wires[1].error = LoginRefused("wrong secret")
    later.serve()
    later.come_up()
    assert later.heard[-1] == ("up", False)
