"""What a node does while it serves, without a process and with a clock of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.service.serving import ANNOUNCE_AGAIN_NS, MOST_FAILED_STARTS, START_NS, Serving
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.writes import ServiceStarted, ServiceStopped
from reserve_agent.errors import CrunchbedError


class Target:
    name = "n4 target"
    log = Path("n4-target.log")

    def __init__(self, done: list[str]) -> None:
        self._done = done
        self.end_words: str | None = None
        self.listens = False

    def ended(self) -> str | None:
        return self.end_words

    def takes_logins(self) -> bool:
        return self.listens

    def end(self) -> None:
        self._done.append("end")


class Host:
    """Notes what it is told to do."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.targets: list[Target] = []

    def start_target(self) -> Target:
        self.done.append("start")
        self.targets.append(Target(self.done))
        return self.targets[-1]

    def add_address(self) -> None:
        self.done.append("add")

    def remove_address(self) -> None:
        self.done.append("remove")

    def announce(self) -> None:
        self.done.append("announce")


class Bench:
    def __init__(self) -> None:
        self.host = Host()
        self.events: list[Event] = []
        self.serving = Serving("n4", "nbd", "10.0.0.9", self.host, self.events.append)

    def come_up(self, now_ns: int) -> None:
        self.host.targets[-1].listens = True
        self.serving.watch(now_ns)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def started(t: int, taken_from: str | None) -> ServiceStarted:
    return ServiceStarted(
        t=t, target="n4", transport="nbd", address="10.0.0.9", taken_from=taken_from
    )


def test_a_service_starts_when_its_target_takes_logins_and_is_announced_twice(bench: Bench) -> None:
    bench.serving.start("n5", 0)
    bench.serving.watch(1)
    assert (bench.host.done, bench.events, bench.serving.accepts) == (["add", "start"], [], False)
    bench.come_up(2)
    assert bench.events == [started(2, "n5")]
    assert bench.serving.accepts
    bench.serving.watch(2 + ANNOUNCE_AGAIN_NS - 1)
    assert bench.host.done.count("announce") == 1
    bench.serving.watch(2 + ANNOUNCE_AGAIN_NS)
    bench.serving.watch(9 * ANNOUNCE_AGAIN_NS)
    assert bench.host.done == ["add", "start", "announce", "announce"]


def test_the_target_ends_before_the_address_goes(bench: Bench) -> None:
    bench.serving.stop("ejected", 0)
    assert bench.host.done == [], "it does not serve"
    bench.serving.start(None, 0)
    bench.come_up(1)
    bench.serving.stop("ejected", 2)
    assert bench.host.done[-2:] == ["end", "remove"]
    assert bench.events[-1] == ServiceStopped(t=2, target="n4", reason="ejected")
    bench.serving.watch(9 * ANNOUNCE_AGAIN_NS)
    assert bench.host.done[-1] == "remove", "nothing is announced any more"


def test_a_service_that_never_started_is_not_reported_as_stopped(bench: Bench) -> None:
    bench.serving.start(None, 0)
    bench.serving.stop("shutdown", 1)
    assert bench.host.done == ["add", "start", "end", "remove"]
    assert bench.events == []


def test_a_target_that_ends_is_started_again_at_the_same_address(bench: Bench) -> None:
    bench.serving.start("n5", 0)
    bench.come_up(1)
    bench.host.targets[0].end_words = "target ended (-9)"
    bench.serving.watch(2)
    assert bench.events[-1] == ServiceStopped(t=2, target="n4", reason="target ended (-9)")
    assert not bench.serving.accepts
    bench.come_up(3)
    assert bench.events[-1] == started(3, None), "it was taken from nobody this time"
    assert [done for done in bench.host.done if done != "announce"] == ["add", "start", "start"]


def test_a_target_that_cannot_be_started_is_an_error_after_a_few_attempts(bench: Bench) -> None:
    bench.serving.start(None, 0)
    for attempt in range(1, MOST_FAILED_STARTS):
        bench.host.targets[-1].end_words = "target ended (1): no disk"
        bench.serving.watch(attempt)
    bench.host.targets[-1].end_words = "target ended (1): no disk"
    with pytest.raises(CrunchbedError, match="no disk"):
        bench.serving.watch(9)
    assert bench.host.done.count("start") == MOST_FAILED_STARTS


def test_a_start_that_succeeds_forgets_the_failed_ones(bench: Bench) -> None:
    bench.serving.start(None, 0)
    for now in range(1, 20, 4):
        for end in range(MOST_FAILED_STARTS - 1):
            bench.host.targets[-1].end_words = "target ended (1)"
            bench.serving.watch(now + end)
        bench.come_up(now + 2)
        bench.host.targets[-1].end_words = "target ended (-9)"
        bench.serving.watch(now + 3)
    assert len(bench.events) == 10


def test_a_target_that_does_not_listen_is_an_error_that_names_its_log(bench: Bench) -> None:
    bench.serving.start(None, 7)
    bench.serving.watch(7 + START_NS)
    with pytest.raises(CrunchbedError, match=r"n4 target does not listen; see n4-target\.log"):
        bench.serving.watch(8 + START_NS)
