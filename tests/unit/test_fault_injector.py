"""Faults are begun and undone in time, and undone whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from crunchbed.faults.action import FaultContext, NotPossible
from crunchbed.history.recorder import Recorder
from crunchbed.run.fault_injection import FaultInjection
from crunchbed.run.fault_plan import draw_faults
from crunchbed.scenario.loader import load
from reserve_agent.contract.events.faults import FaultBegan

MS = 1_000_000


class Fake:
    """A fault that says what is done to it."""

    def __init__(self, name: str, said: list[str], begin: Exception | None = None) -> None:
        self.name, self.said, self.error = name, said, begin
        self.details: dict[str, Any] = {}

    def begin(self, event: FaultBegan) -> FaultBegan:
        self.said.append(f"begin {self.name}")
        if self.error is not None:
            raise self.error
        return replace(event, **{"share": self.name, **self.details})

    def undo(self) -> None:
        self.said.append(f"undo {self.name}")

    def lingers(self) -> bool:
        return False

    def settling(self) -> bool:
        return False


class NoHolds:
    """The fakes hold nothing."""

    def shared(self, _action: object) -> list[str]:
        return []


class Bench:
    """An injection by a clock that the test turns."""

    def __init__(self, tmp_path: Path, *faults: dict[str, object]) -> None:
        scenario = load("control").with_overrides({"faults": list(faults)})
        self.planned = draw_faults(scenario, 1)
        self.said: list[str] = []
        self.made = [Fake(fault.kind, self.said) for fault in self.planned]
        self.file = tmp_path / "run.jsonl"
        self.now = 0

    def now_ns(self) -> int:
        return self.now * MS

    @contextmanager
    def injection(self, first: int = 0) -> Iterator[FaultInjection]:
        with closing(Recorder(self.file, self.now_ns)) as recorder:
            context = SimpleNamespace(recorder=recorder, loop=self, holds=NoHolds())
            with FaultInjection(self._faults(), cast(FaultContext, context), first) as injected:
                yield injected

    def _faults(self) -> list[Any]:
        """The planned faults, whose actions are the fakes."""
        return [
            SimpleNamespace(
                kind=fault.kind,
                targets=fault.targets,
                after=fault.after,
                lasts_ns=fault.lasts_ns,
                action=lambda _context, made=made: made,
            )
            for fault, made in zip(self.planned, self.made, strict=True)
        ]

    def recorded(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.file.read_bytes().splitlines()]


LINK = {"kind": "link-down", "target": "n1", "after": "1s", "for": "1s"}
STALL = {"kind": "stall", "target": "n2", "after": "1500ms", "for": "2s"}
SPLIT = {"kind": "partition", "target": ["n3"], "after": "0s", "for": "5s"}


def test_each_step_is_done_when_it_is_due(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINK, STALL)
    bench.now = 10_000
    with bench.injection() as injected:
        for ms, said, over in (
            (10_999, [], False),
            (11_000, ["begin link-down"], False),
            (11_600, ["begin stall"], False),
            (12_000, ["undo link-down"], False),
            (13_600, ["undo stall"], True),
        ):
            bench.now = ms
            assert injected.over() is over
            assert bench.said == said
            bench.said.clear()
    assert bench.said == []
    kinds = [(e["kind"], e["fault"], e["target"]) for e in bench.recorded()]
    assert kinds == [
        ("fault.begin", "link-down", "n1"),
        ("fault.begin", "stall", "n2"),
        ("fault.end", "link-down", "n1"),
        ("fault.end", "stall", "n2"),
    ]
    assert bench.recorded()[0]["t"] == 11_000 * MS
    assert bench.recorded()[0]["share"] == "link-down"


def test_what_is_still_on_is_undone_at_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINK, STALL)
    with bench.injection() as injected:
        bench.now = 1600
        injected.over()
    assert bench.said == ["begin link-down", "begin stall", "undo stall", "undo link-down"]


def test_an_error_anywhere_undoes_all_that_was_begun(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINK, STALL)
    bench.made[1].error = OSError("no")
    with pytest.raises(OSError, match="no"), bench.injection() as injected:
        bench.now = 1600
        injected.over()
    assert bench.said == ["begin link-down", "begin stall", "undo stall", "undo link-down"]


def test_a_fault_that_meets_nothing_is_recorded_as_that(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINK)
    bench.made[0].error = NotPossible("n1 was down")
    with bench.injection() as injected:
        bench.now = 1600
        injected.over()
    assert [e.get("impossible") for e in bench.recorded()] == ["n1 was down", None]


def test_it_knows_who_is_cut_off_from_whom_and_since_when(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINK, STALL, SPLIT)
    with bench.injection() as injected:
        bench.now = 1600
        injected.over()
        since = injected.cut_off_since
        assert since("n1", "n2") is not None
        assert since("n2", "n1") is not None
        assert since("n3", "n2") == since("n2", "n3") == 1600 * MS
        bench.now = 4000
        injected.over()
        assert since("n1", "n2") is since("n2", "n1") is None
        assert since("n1", "n3") is not None


@pytest.mark.parametrize(("network", "cut"), [("cluster", True), ("storage", False), ("a", False)])
def test_a_link_cuts_off_whose_heartbeats_have_no_other(
    network: str, cut: bool, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, LINK)
    bench.made[0].details = {"network": network}
    with bench.injection() as injected:
        bench.now = 1600
        injected.over()
        assert (injected.cut_off_since("n1", "n2") is not None) == cut


def test_two_links_cut_off_together_from_when_both_are_down(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINK, {**LINK, "after": "1500ms"})
    for fault, network in zip(bench.made, ("a", "b"), strict=True):
        fault.details = {"network": network}
    with bench.injection() as injected:
        since = []
        for bench.now in (1000, 1500, 2000):
            injected.over()
            since.append(injected.cut_off_since("n1", "n2"))
        assert since == [None, 1500 * MS, None]
        assert injected.cut_off_since("n2", "n1") is None


def test_faults_that_begin_alike_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINK)
    with bench.injection(first=3) as injected:
        bench.now = 1000
        injected.over()
    assert [event["number"] for event in bench.recorded()] == [3, 3]


def test_a_fault_that_begins_late_lasts_as_long_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINK, STALL)
    with bench.injection() as injected:
        bench.now = 1900  # both should have begun
        injected.over()
        bench.now = 2800
        injected.over()
        assert bench.said == ["begin link-down", "begin stall"]
        bench.now = 2900
        injected.over()
        assert bench.said[2:] == ["undo link-down"]
        bench.now = 3899
        assert not injected.over()
        bench.now = 3900
        assert injected.over()


def test_a_fault_is_on_until_it_is_undone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINK)
    seen: list[int | None] = []
    with bench.injection() as injected:
        bench.made[0].undo = lambda: seen.append(  # type: ignore[method-assign]
            injected.cut_off_since("n1", "n2")
        )
        for bench.now in (1000, 2000):
            injected.over()
        assert seen == [1000 * MS]
        assert injected.cut_off_since("n1", "n2") is None


def test_what_lingers_is_waited_for(tmp_path: Path) -> None:
    class Lingers(Fake):
        def lingers(self) -> bool:
            return len(self.said) < 2

    bench = Bench(tmp_path, {"kind": "node-crash", "after": "0s"})
    bench.made[0] = Lingers("node-crash", bench.said)
    with bench.injection() as injected:
        assert not injected.over()
        bench.said.append("fenced")
        assert injected.over()
    assert bench.said == ["begin node-crash", "fenced", "undo node-crash"]


def test_what_settles_is_waited_for_after_its_undo(tmp_path: Path) -> None:
    class Settles(Fake):
        def settling(self) -> bool:
            return self.said[-1:] == ["undo link-down"]

    bench = Bench(tmp_path, LINK)
    bench.made[0] = Settles("link-down", bench.said)
    with bench.injection() as injected:
        for bench.now in (1000, 2000, 2100):
            assert not injected.over()
        assert not injected.settled()
        bench.said.append("passes")
        assert injected.over()
