"""When a run has waited long enough for the Prometheus that records it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from crunchbed.prometheus import scraper as scrapers
from crunchbed.prometheus.scraper import SEEN_SECONDS, Scraper
from crunchbed.prometheus.server import Prometheus
from reserve_agent.errors import CrunchbedError, RunInvalid

SLOW = CrunchbedError("Prometheus does not answer: TimeoutError('timed out')")


class Fake:
    """A Prometheus with an answer to each query, in turn, and the clock that everybody goes by."""

    def __init__(self, *answers: int | CrunchbedError) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.now = 1000.0
        self.end: CrunchbedError | None = None

    def query(self, expression: str) -> list[dict[str, object]]:
        assert 'run="abcd"' in expression
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, CrunchbedError):
            self.now += 5.0
            raise answer
        return [{"value": [self.now, str(answer)]}] if answer else []

    def require_alive(self) -> None:
        if self.end is not None:
            raise self.end

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        until = self.now + seconds
        while not condition():
            if self.now >= until:
                return False
            self.now += 0.1
        return True


def awaiting(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for three nodes."""
    monkeypatch.setattr(scrapers.time, "monotonic", lambda: fake.now)
    scraper = Scraper(None, lambda _: None)
    scraper.server = cast(Prometheus, fake)
    scraper.await_run("abcd", 3, fake.wait_until)


def test_it_waits_for_every_node(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(0, 2, 3)
    awaiting(fake, monkeypatch)
    assert fake.asked == 3


def test_a_query_without_an_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(SLOW, SLOW, 2, 3)
    awaiting(fake, monkeypatch)
    assert fake.asked == 4


def test_without_any_answer_the_wait_has_its_end_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = Fake(SLOW)
    with pytest.raises(RunInvalid, match=r"all 3 nodes in 20 s: .*does not answer: TimeoutError"):
        awaiting(fake, monkeypatch)
    assert SEEN_SECONDS <= fake.now - 1000 < SEEN_SECONDS + 6


def test_an_answer_that_came_in_the_end_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunInvalid, match=r"all 3 nodes in 20 s$"):
        awaiting(Fake(SLOW, 2), monkeypatch)


def test_one_that_has_ended_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(SLOW)
    fake.end = CrunchbedError("Prometheus ended: out of space")
    with pytest.raises(CrunchbedError, match="ended: out of space"):
        awaiting(fake, monkeypatch)
    assert fake.asked == 1
