"""Searching: planted bugs are found and shrunk, and what was found can be run again."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import orjson
import pytest

from crunchbed.backends.simulation import loop
from crunchbed.cli import app
from crunchbed.experiments.search import trial
from crunchbed.experiments.search.conduct import Found, Search, Violation
from crunchbed.experiments.search.coverage import Coverage
from crunchbed.experiments.search.draw import OVER, Bounds, Drawer
from crunchbed.experiments.search.outcome import nameless
from crunchbed.experiments.search.pool import Here
from crunchbed.experiments.search.schedule import Schedule, searched
from crunchbed.experiments.search.shrink import shrink, simplicity
from crunchbed.experiments.search.trial import Tried, attempt
from crunchbed.experiments.search.values import FAULTS
from crunchbed.run import engine
from crunchbed.run.in_memory import digest, history_of
from crunchbed.run.supervisor import Supervisor
from crunchbed.scenario.loader import load, load_file
from crunchbed.scenario.schema import Scenario
from nodes.membership.actions import Action
from nodes.membership.membership import Membership
from nodes.membership.views import View
from nodes.service.manager import Order, ServiceManager

Captured = pytest.CaptureFixture[str]
DICE = random.Random
LIGHT: dict[str, object] = {
    "cluster.nodes": 3,
    "traffic.rate": 0,
    "block_io.dirty_rate": 30,
    "faults": [],
    "phases.inject": "3s",
    "phases.recovery": "1s",
}
"""What makes a run of these tests take less than a tenth of a second."""
PAIR: dict[str, object] = {**LIGHT, "block_io.pair": ["n2", "n3"]}
CRASH: dict[str, object] = {"kind": "node-crash", "target": "n2", "after": "500ms"}


class Quiet:
    """Remembers what a search tells."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Schedule]] = []
        self.new = 0

    def ran(self, _found: Found, new: bool) -> None:
        self.new += new

    def broke(self, violation: Violation) -> None:
        self.kept.append((violation.rule, violation.schedule))

    def shrinking(self, violation: Violation) -> None:
        pass


def cluster(name: str = "partition", **changes: object) -> Scenario:
    light = PAIR if name == "target-failover" else LIGHT
    return searched(load(name).with_overrides({**light, "expect": [], **changes}))


def bounds(*kinds: str, over: tuple[str, ...] = OVER, most: int = 4) -> Bounds:
    return Bounds(frozenset(over), kinds, most, 1)


def search(base: Scenario, within: Bounds, runs: int, *, first: bool = True) -> Found:
    return Search(base, within, 1, Quiet()).run(runs, Here(), first=first)


# --- planted bugs


@pytest.fixture
def takeover_before_the_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a fence goes on whatever the answer is."""
    answered, fenced = Membership.fence_answer, ServiceManager.fenced

    def answer(self: Membership, target: str, view: int, _ok: bool, now_ns: int) -> list[Action]:
        return answered(self, target, view, True, now_ns)

    def take(self: ServiceManager, target: str, view: int, _ok: bool) -> list[Order]:
        return fenced(self, target, view, True)

    monkeypatch.setattr(Membership, "fence_answer", answer)
    monkeypatch.setattr(ServiceManager, "fenced", take)


KINDS = ("partition", "node-crash", "stall", "fence-failure")


@pytest.mark.usefixtures("takeover_before_the_fence")
def test_a_takeover_before_the_fence_is_found_and_shrunk() -> None:
    found = search(cluster("target-failover"), bounds(*KINDS), 100)
    assert {"unfenced", "two-writers"} <= set(found.violations)
    for rule in ("unfenced", "two-writers"):
        assert found.violations[rule].shrunk
        assert found.violations[rule].schedule.events <= 3


def test_a_view_without_a_majority_is_found_and_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the members are taken for enough."""
    monkeypatch.setattr(View, "majority", property(lambda self: len(self.members) // 2))
    found = search(cluster(**{"cluster.nodes": 4}), bounds(*KINDS), 100)
    assert found.violations["minority"].schedule.events <= 3


def test_todays_code_breaks_no_rule() -> None:
    found = search(cluster("target-failover"), bounds(*KINDS), 15)
    assert (found.runs, found.violations) == (15, {})
    assert len(found.outcomes) > 5


# --- what is drawn


def test_the_same_seed_searches_the_same_schedules() -> None:
    base = cluster("target-failover")
    first, second = (search(base, bounds(*KINDS), 4) for _ in range(2))
    assert first.outcomes == second.outcomes


def test_schedules_stay_within_their_bounds() -> None:
    base = cluster("target-failover")
    drawer = Drawer(base, bounds(*FAULTS, most=2), DICE(1))
    assert "slow-disk" not in drawer.kinds  # cluster nodes serve
    drawn = [drawer.new() for _ in range(60)]
    drawn += [drawer.like(one) for one in drawn]
    kinds = {fault["kind"] for one in drawn for fault in one.faults}
    assert kinds == set(drawer.kinds)
    assert {len(one.faults) for one in drawn} == {0, 1, 2}
    assert len({one.seed for one in drawn}) > 30
    for one in drawn:
        one.of_scenario(base)  # goes together


@pytest.mark.parametrize("over", OVER)
def test_only_what_is_asked_for_is_drawn(over: str) -> None:
    base = cluster("target-failover", faults=[CRASH])
    drawer = Drawer(base, bounds(*KINDS, over=(over,)), DICE(1))
    drawn = [drawer.new() for _ in range(10)]
    drawn += [drawer.like(one) for one in drawn]
    own = Schedule.of(base, 1)
    assert any(one != own for one in drawn)
    for one in drawn:
        assert (one.seed == 1) == (over != "seeds")
        if over != "faults":
            assert one.crunch == own.crunch
            assert [fault["kind"] for fault in one.faults] == ["node-crash"]
            assert (one.faults[0]["after"] == "500ms") == (over != "times")


def test_what_is_rare_is_gone_on_with() -> None:
    coverage, dice = Coverage(), DICE(1)
    rare, common = Schedule(1, None, ()), Schedule(2, None, ())
    assert coverage.pick(dice) is None
    assert coverage.add(common, "common")
    assert not any(coverage.add(common, "common") for _ in range(99))
    assert coverage.add(rare, "rare")
    picked = [coverage.pick(dice) for _ in range(200)]
    assert picked.count(rare) > 20 * picked.count(common)
    assert picked.count(None) > 40


# --- the smallest schedule

BIG = Schedule(
    99,
    {"kind": "timed", "target": "n1", "count": 7, "jitter": "130ms"},
    (
        {"kind": "partition", "target": ["n1", "n3"], "after": "1230ms", "for": "1770ms"},
        {"kind": "loss", "target": "n2", "share": 0.3, "direction": "out", "after": "10ms"},
        {"kind": "fence-failure", "target": "n1", "fails": 31, "takes": "70ms", "after": "920ms"},
    ),
)


def test_a_schedule_shrinks_to_the_one_thing_that_matters() -> None:
    def breaks(schedule: Schedule) -> bool:
        return any(one["kind"] == "fence-failure" for one in schedule.faults)

    shrunk = shrink(BIG, breaks)
    (fault,) = shrunk.schedule.faults
    assert (shrunk.schedule.crunch, shrunk.schedule.seed) == (None, 1)
    assert fault == {"kind": "fence-failure", "target": "n1", "after": "1s"}
    assert shrunk.runs < 20


def test_values_and_times_become_as_simple_as_they_may() -> None:
    def breaks(schedule: Schedule) -> bool:
        if schedule.crunch is None or len(schedule.faults) < 3 or schedule.seed == 1:
            return False
        parted, _, fence = schedule.faults
        return "n1" in parted["target"] and parted["after"] != "1s" and fence.get("fails", 1) > 20

    small = shrink(BIG, breaks).schedule
    parted, loss, fence = small.faults
    assert parted == {"kind": "partition", "target": ["n1"], "after": "2s", "for": "1s"}
    assert loss == {"kind": "loss", "target": "n2", "after": "1s"}
    assert fence == {"kind": "fence-failure", "target": "n1", "fails": 30, "after": "1s"}
    assert small.crunch == {"kind": "timed", "target": "n1", "count": 7, "jitter": "1s"}
    assert simplicity(small) < simplicity(BIG)


# --- the command

FEW = ("--runs", "40", "--workers", "1", "--quiet")
CHEAP = [f"--set={key}={value}" for key, value in LIGHT.items()]
PAIRED = [*CHEAP, "--set=block_io.pair=[n2, n3]"]


def test_what_is_found_is_a_scenario_that_breaks_the_rule_again(
    tmp_path: Path, capsys: Captured
) -> None:
    """A cluster that takes every fence for granted has two writers when it parts."""
    words = ["--set", "fencing.confirm=false", "--kinds", "partition,stall", "--first", "--json"]
    out = tmp_path / "out"
    asked = ["search", "target-failover", *FEW, *PAIRED, *words, "--out", str(out)]
    assert app.main(asked) == 1
    record = orjson.loads(capsys.readouterr().out)
    assert record == orjson.loads((out / "search.json").read_bytes())
    (violation,) = record["violations"]
    assert violation["rule"] == "two-writers"
    assert violation["shrunk"]
    assert len(violation["faults"]) == 1
    scenario = load_file(Path(violation["file"]))
    assert "double writer: n2 and n3 both served" in scenario.claim
    text = Path(violation["file"]).read_text()
    assert "pair" in text
    assert "softnet" not in text  # as by default
    result = engine.run(scenario, seed=violation["seed"], out=tmp_path / "again")
    assert result.verdict == "fail"
    assert result.reasons[0] in scenario.claim


def test_a_search_that_finds_nothing_says_so(tmp_path: Path, capsys: Captured) -> None:
    asked = ["search", "partition", *CHEAP, "--over", "seeds", "--runs", "2", "--workers", "1"]
    assert app.main([*asked, "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "partition: 2 runs, 1 distinct outcome," in text
    assert "no rule was broken" in text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["search.json"]


def test_workers_of_dask_find_the_same(tmp_path: Path, capsys: Captured) -> None:
    records = []
    for workers in ("1", "2"):
        out = ["--out", str(tmp_path / workers), "--json", "--quiet"]
        asked = ["search", "partition", *CHEAP, "--kinds", "partition", "--over", "times,seeds"]
        assert app.main([*asked, "--runs", "3", "--workers", workers, *out]) == 0
        records.append(orjson.loads(capsys.readouterr().out))
        del records[-1]["seconds"]
    assert records[0] == records[1]


def test_ctrl_c_keeps_what_was_found(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = iter([attempt, attempt])

    def ended(_pool: Here, handle: tuple[Scenario, int]) -> Tried:
        try:
            return next(made)(*handle)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(Here, "tried", ended)
    asked = ["search", "partition", *CHEAP, *FEW, "--json", "--out", str(tmp_path / "out")]
    assert app.main(asked) == 130
    record = orjson.loads(capsys.readouterr().out)
    assert (record["runs"], record["interrupted"]) == (2, True)


def test_a_run_that_does_not_come_to_its_end_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "broken", lambda *_: 1 // 0)
    tried = attempt(cluster(), 1)
    assert tried.outcome == "fails: ZeroDivisionError"
    assert tried.rules == {"error"}


def test_a_burst_on_a_node_that_is_booting_is_the_reason_that_is_told() -> None:
    crash = {"kind": "node-crash", "target": "n1", "after": "100ms", "for": "100ms"}
    burst = {"kind": "burst", "target": "n1", "after": "300ms"}
    tried = attempt(cluster(faults=[crash, burst]), 1)
    assert tried.outcome == "invalid: N does not take burst: it has no initiator now"


def test_names_and_figures_make_no_new_outcome() -> None:
    text = "the block device is served by n4 and n5; n12 sees n1, n2, n3 for 1.25 s"
    assert nameless(text) == "the block device is served by N; N sees N for # s"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--over", "faults,days"], "unknown part of a schedule 'days'"),
        (["--kinds", "partition,earthquake"], "unknown kind of fault 'earthquake'"),
        (["--kinds", "slow-disk"], "--kinds: none of slow-disk goes with target-failover"),
        (["--runs", "0"], "'--runs': 0 is not in the range"),
        (["--set", "membership=corosync"], "backend simulation: membership: expected crunchbed"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str, capsys: Captured) -> None:
    assert app.main(["search", "target-failover", *words]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert (told.out, told.err.count("\n")) == ("", 1)


# --- a run in memory


def test_a_run_in_memory_has_the_history_that_is_on_file(tmp_path: Path) -> None:
    scenario = cluster("packet-loss")
    engine.run(scenario, seed=3, out=tmp_path / "out")
    on_file = (tmp_path / "out" / "history.jsonl").read_bytes().splitlines(keepends=True)
    lines = hashlib.sha256()
    for line in on_file:
        if b'"kind":"part.closed"' not in line:
            lines.update(line)
    assert digest(history_of(scenario, 3)) == lines.hexdigest()
    assert digest(history_of(scenario, 4)) != lines.hexdigest()


def test_a_run_whose_clock_stands_still_is_a_find(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(self: Supervisor) -> None:
        self._loop.at(self._loop.now_ns(), self._watch)

    monkeypatch.setattr(loop, "MOST_AT_ONCE", 2000)
    monkeypatch.setattr(Supervisor, "_watch", look)
    found = attempt(cluster(), 1)
    assert found.rules == {"error"}
    assert found.outcome == "fails: ClockStandsStill"
    assert "the latest 1001 of" in found.broken[0].what
