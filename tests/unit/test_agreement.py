"""When two backends say the same of a scenario, and what `crunchbed agree` makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.checks.silence import longest_silence_seconds
from crunchbed.cli import agree, app
from crunchbed.experiments.agreement import Cell, Observed, alike, share_of_agreement
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario
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
        (
            {"misses": {"allocation_failure": 33}},
            "misses by allocation_failure: machines 40, namespaces 33",
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
    agreed, disagreed = cell(seen(), seen("b")), cell(seen(), seen("b", verdict="fail"))
    cells = [agreed, agreed, agreed, disagreed, cell(seen())]
    assert share_of_agreement(cells) == 0.75
    assert share_of_agreement([cell(seen())]) is None


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


class Runs:
    """Stands for the runs: what each backend would come to, and which were made."""

    def __init__(self, outcomes: dict[str, Observed]) -> None:
        self.outcomes = outcomes
        self.made: list[tuple[str, str, int]] = []

    def observe(
        self, backend: str, scenario: Scenario, seed: int, place: Path, *, quiet: bool
    ) -> Observed:
        assert quiet
        assert scenario.cluster.backend == backend
        self.made.append((backend, place.parent.name, seed))
        return self.outcomes[backend]


def outcome_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Observed, *words: str
) -> tuple[int, Runs]:
    runs = Runs({"machines": seen(), "namespaces": other})
    monkeypatch.setattr(agree, "_observe", runs.observe)
    return app.main(["agree", "-q", "--out", str(tmp_path / "out"), *words]), runs


def test_each_cell_is_run_on_each_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("control", "--policies", "none,memalloc", "--memalloc", "block-io,both")
    code, runs = outcome_of(tmp_path, monkeypatch, seen("namespaces"), *words, "--seeds", "1..2")
    assert code == 0
    assert len(runs.made) == len(set(runs.made)) == 2 * 2 * 2 * 2
    assert ("machines", "memalloc-block-io-e1000-2", 2) in runs.made
    assert "8 cells: 8 agree; 100% of those that are known agree" in capsys.readouterr().out


def test_a_disagreement_is_exit_code_1_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = seen("namespaces", ejected=())
    code, _ = outcome_of(tmp_path, monkeypatch, other, "control", "--policies", "none", "--json")
    assert code == 1
    (told,) = orjson.loads(capsys.readouterr().out)
    assert told["state"] == "disagree"
    assert told["differences"] == ["ejected: machines n1, namespaces nobody"]
    assert orjson.loads((tmp_path / "out" / "agreement.json").read_bytes()) == [told]


def test_a_backend_that_refuses_is_named_and_leaves_the_cell_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("control", "--policies", "softnet")
    code, runs = outcome_of(tmp_path, monkeypatch, seen("namespaces"), *words)
    assert code == 3
    assert [backend for backend, _, _ in runs.made] == ["namespaces"]
    assert "machines cannot: policy: expected none or memalloc" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("control", "--backends", "machines"), "--backends: expected two or more, got machines"),
        (("control", "--nics", "ne3k"), "unknown card 'ne3k'"),
        (("no-such-scenario",), "no-such-scenario"),
    ],
)
def test_wrong_words_are_refused_before_any_run(
    words: tuple[str, ...], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["agree", *words, "--out", str(tmp_path / "out")]) == 2
    assert line in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
