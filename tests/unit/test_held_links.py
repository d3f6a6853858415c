"""Links of a cluster that is held open, taken down and brought up one by one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from crunchbed.checks.faults import FaultSpan
from crunchbed.history.history import Interval
from crunchbed.run.held import links as held_links
from crunchbed.run.held.links import Links
from crunchbed.run.start import Running
from reserve_agent.contract.events.faults import FaultBegan
from reserve_agent.errors import BadInput


class Cuts:
    """Stands for the faults that ``Links`` begins and ends."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str | None]] = []
        self.numbers: list[int] = []
        self.passes = True
        self.now = 7

    def __call__(self, faults: Any, _context: Any, first: int) -> Any:
        (fault,) = faults
        self.numbers.append(first)
        log, bench, key = self.log, self, (fault.target, fault.network)

        class One:
            def __enter__(self) -> One:
                return self

            def over(self) -> bool:
                log.append(key)
                return True

            def __exit__(self, *_: object) -> None:
                log.remove(key)

            def settled(self) -> bool:
                return bench.passes

            @property
            def on(self) -> list[FaultSpan]:
                began = FaultBegan(fault="link-down", targets=fault.targets, network=fault.network)
                return [FaultSpan(began, Interval(bench.now, 99))]

        return One()


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> tuple[Links, Cuts, list[str]]:
    cuts, touched = Cuts(), list[str]()
    monkeypatch.setattr(held_links, "FaultInjection", cuts)
    network = SimpleNamespace(hosts=("n1", "n2"), networks=lambda _host: ("a", "b"))
    run = SimpleNamespace(world=SimpleNamespace(network=network), recorder=None, fault_context=None)
    made = Links(cast(Running, run), lambda: touched.append("touched"))
    return made, cuts, touched


def test_one_link_of_several_goes_down_and_comes_back(
    links: tuple[Links, Cuts, list[str]],
) -> None:
    made, cuts, touched = links
    made.take_down("n1", "a")
    assert cuts.log == [("n1", "a")]
    assert touched == ["touched"]
    assert (made.state("n1"), made.state("n2")) == ("down to a", "up")
    made.take_down("n1", "b")
    assert made.state("n1") == "down to a, b"
    with pytest.raises(BadInput, match="n1 to a is down already"):
        made.take_down("n1", "a")
    with pytest.raises(BadInput, match="n1 is not down; down: n1 to a, n1 to b"):
        made.bring_up("n1")
    with pytest.raises(BadInput, match="n1 to a is down already"):
        made.take_down("n1")
    cuts.passes = False
    made.bring_up("n1", "a")
    assert not made.settled()
    assert made.state("n1") == "down to b, coming up"
    cuts.passes = True
    assert made.settled()
    assert made.state("n1") == "down to b"
    made.end()
    assert cuts.log == []


def test_a_link_that_is_coming_up_is_left_alone(links: tuple[Links, Cuts, list[str]]) -> None:
    made, cuts, _ = links
    cuts.passes = False
    made.take_down("n1")
    assert made.cut_off_since("n1", "n2") == 7
    assert made.cut_off_since("n2", "n1") is None
    made.bring_up("n1")
    assert made.state("n1") == "coming up"
    with pytest.raises(BadInput, match="still coming up"):
        made.take_down("n1")


def test_links_that_went_down_one_by_one_cut_off_together(
    links: tuple[Links, Cuts, list[str]],
) -> None:
    made, cuts, _ = links
    made.take_down("n1", "a")
    assert made.cut_off_since("n1", "n2") is None
    cuts.now = 9
    made.take_down("n1", "b")
    assert made.cut_off_since("n1", "n2") == 9
    made.bring_up("n1", "a")
    assert made.cut_off_since("n1", "n2") is None
    assert cuts.numbers == [0, 1], "the history tells which of them ended"


def test_what_is_refused_does_not_touch_the_cluster(
    links: tuple[Links, Cuts, list[str]],
) -> None:
    made, cuts, touched = links
    with pytest.raises(BadInput, match="no link to 'storage'; its networks: a, b"):
        made.take_down("n1", "storage")
    with pytest.raises(BadInput, match="n2 is not down"):
        made.bring_up("n2")
    assert (cuts.log, touched) == ([], [])
