"""When two backends say the same of a scenario."""

from __future__ import annotations

from typing import Any

import pytest

from crunchbed.checks.silence import longest_silence_seconds
from crunchbed.experiments.agreement.cell import Cell, Observed, alike
from crunchbed.experiments.agreement.summary import summaries
from crunchbed.history.history import History
from reserve_agent.contract.events.heartbeats import HeartbeatMissed

MS = 1_000_000


def seen(backend: str = "machines", **changes: Any) -> Observed:
    made: dict[str, Any] = {
        "backend": backend,
        "verdict": "pass",
        "ejected": ("n1",),
        "misses": {"allocation_failure": 40},
        "silence_seconds": 2.0,
        "stall_seconds": 1.0,
    }
    return Observed(**(made | changes))


def cell(*runs: Observed, seed: int = 1) -> Cell:
    return Cell(
        scenario="x",
        policy="none",
        flags=(),
        nic="e1000",
        seed=seed,
        runs=runs,
        interval_seconds=0.1,
    )


def test_runs_that_are_alike_agree() -> None:
    other = seen("namespaces", silence_seconds=3.9, stall_seconds=0.51)
    assert cell(seen(), other).state == "agree"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"verdict": "fail"}, "verdict: machines pass, namespaces fail"),
        ({"ejected": ()}, "ejected: machines n1, namespaces nobody"),
        ({"ejected": ("n1", "n1")}, "ejected: machines n1, namespaces n1, n1"),
        ({"silence_seconds": 4.1}, "longest silence: machines 2.00 s, namespaces 4.10 s"),
        ({"stall_seconds": 0.4}, "longest stall: machines 1.00 s, namespaces 0.40 s"),
        ({"stall_seconds": None}, "longest stall: machines 1.00 s, namespaces 0.00 s"),
        ({"misses": {"allocation_failure": 19}}, "missed: machines 40, namespaces 19"),
        ({"misses": {}}, "missed: machines 40, namespaces 0"),
        (
            {"misses": {"allocation_failure": 33, "stalled_sender": 7}},
            "causes: machines allocation_failure 40, stalled_sender 0, "
            "namespaces allocation_failure 33, stalled_sender 7",
        ),
    ],
)
def test_each_difference_is_told_with_both_figures(changes: dict[str, Any], line: str) -> None:
    made = cell(seen(), seen("namespaces", **changes))
    assert made.differences == (line,)
    assert made.state == "disagree"


@pytest.mark.parametrize(
    ("one", "other", "agree_"),
    [(0.0, 0.2, True), (0.1, 0.41, False), (1.0, 2.0, True), (2.01, 1.0, False), (0.0, 9.0, False)],
)
def test_times_agree_within_a_factor_of_two(one: float, other: float, agree_: bool) -> None:
    assert alike(one, other, 0.2) is agree_
    assert alike(other, one, 0.2) is agree_


def test_what_is_not_known_is_no_agreement() -> None:
    invalid = seen("namespaces", verdict="invalid")
    assert cell(seen(), invalid).state == "unknown"
    assert cell(seen()).state == "unknown"


def test_few_misses_are_alike_and_so_are_few_of_another_cause() -> None:
    none, few = {}, {"allocation_failure": 6}  # type: dict[str, int], dict[str, int]
    assert cell(seen(misses=none), seen("b", misses=few)).state == "agree"
    one = {"allocation_failure": 10, "testbed": 3}
    other = {"allocation_failure": 13}
    assert cell(seen(misses=one), seen("b", misses=other)).state == "agree"


def test_all_backends_are_held_against_the_first() -> None:
    third = seen("simulation", ejected=())
    made = cell(seen(), seen("namespaces"), third)
    assert [(pair.other.backend, pair.state) for pair in made.pairs] == [
        ("namespaces", "agree"),
        ("simulation", "disagree"),
    ]
    assert made.state == "disagree"


def test_a_summary_tells_outcomes_from_figures() -> None:
    agreed = cell(seen(), seen("b"))
    slower = cell(seen(), seen("b", silence_seconds=9.0))
    lost = cell(seen(), seen("b", ejected=(), silence_seconds=9.0))
    unknown = cell(seen(), seen("b", verdict="invalid"))
    (found,) = summaries([agreed, agreed, slower, lost, unknown, cell(seen())])
    assert (found.cells, found.known, found.agree, found.same_outcome) == (5, 4, 2, 3)
    assert {name: n for name, n in found.differing.items() if n} == {"ejected": 1, "silence": 2}


def test_misses_one_after_the_other_are_one_silence() -> None:
    def miss(at: int, node: str = "n2", silent: int | None = None) -> HeartbeatMissed:
        event = HeartbeatMissed(peer="n1", deadline=at * MS, silent_ns=silent)
        return event.stamped(at * MS, node)

    interval = 100 * MS
    together = [miss(at) for at in (1000, 1100, 1200)]
    apart = [miss(at) for at in (1000, 1100, 1500, 1600, 1700, 1800)]
    assert longest_silence_seconds(History([]), interval) == 0
    assert longest_silence_seconds(History(together), interval) == pytest.approx(0.3)
    assert longest_silence_seconds(History(apart), interval) == pytest.approx(0.4)
    both = sorted([*together, miss(1150, "n3")], key=lambda event: event.t)
    assert longest_silence_seconds(History(both), interval) == pytest.approx(0.3)
    told = [miss(5000, silent=1700 * MS)]
    assert longest_silence_seconds(History(told), interval) == pytest.approx(1.7)
