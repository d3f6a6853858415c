"""Parts of a history, each of which says what it holds, and the one history made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.archive import rundir
from crunchbed.history.history import History
from crunchbed.history.merge import merge
from crunchbed.history.recorder import Recorder
from reserve_agent.contract.events.pressure import AgentLate
from reserve_agent.contract.events.run import PhaseBegan, RunInfo
from reserve_agent.record import NodeHistory

INFO: dict[str, Any] = {"run": "ab12", "scenario": "x", "seed": 1, "backend": "y", "format": 2}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A run directory with the two parts of a short run, and run.json."""
    parts = tmp_path / "history"
    parts.mkdir()
    with closing(Recorder(parts / "run.jsonl", count(10).__next__)) as recorder:
        recorder.record(RunInfo(**INFO))
        recorder.record(PhaseBegan(name="control"))
        recorder.finish()
    agent = NodeHistory(parts / "n1.jsonl", "n1", lambda _: None)
    agent.record(AgentLate(t=11, late_ns=1))
    agent.record(AgentLate(t=11, late_ns=2))
    agent.finish()
    (tmp_path / "run.json").write_bytes(orjson.dumps(INFO))
    yield tmp_path


def merged(run: Path) -> History:
    found = merge(sorted((run / "history").glob("*.jsonl")), run / "history.jsonl")
    rundir.note_history(run, found)
    return History.read(run / "history.jsonl")


def test_the_recorder_numbers_its_events_and_closes_its_part(run: Path) -> None:
    *before, last = (run / "history" / "run.jsonl").read_bytes().splitlines(keepends=True)
    closed = orjson.loads(last)
    assert [orjson.loads(line)["id"] for line in before] == ["run:0", "run:1"]
    assert (closed["kind"], closed["node"], closed["id"]) == ("part.closed", "run", "run:2")
    assert closed["writers"] == {"run": 2}
    assert closed["kinds"] == {"run.info": 1, "phase": 1}
    assert closed["sha256"] == hashlib.sha256(b"".join(before)).hexdigest()


def test_what_is_merged_is_described_in_run_json(run: Path) -> None:
    history = merged(run)
    assert (history.damage, history.numbered, len(history.events)) == ((), True, 6)
    told = orjson.loads((run / "run.json").read_bytes())
    content = (run / "history.jsonl").read_bytes()
    assert told["run"] == "ab12"
    assert told["history"]["events"] == 6
    assert told["history"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert {name: part["damage"] for name, part in told["history"]["parts"].items()} == {
        "n1": None,
        "run": None,
    }


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lines: lines[:-1], "it was not closed"),
        (lambda lines: lines[1:], "it does not hold the events that were counted"),
        (lambda lines: [lines[1], lines[0], lines[2]], "its digest is not the one"),
        (
            lambda lines: [lines[0].replace(b'"late_ns":1', b'"late_ns":3'), *lines[1:]],
            "its digest is not the one",
        ),
        (lambda _: [], "it was not closed"),
        (lambda lines: [lines[0][9:], *lines[1:]], "1 of its lines are no events, the first is"),
        (
            lambda lines: [lines[0], b'{"x": 1}\n', b"\0\0\n", lines[2]],
            "2 of its lines are no events, the first is line 2",
        ),
    ],
)
def test_a_part_that_is_not_whole_is_named(
    run: Path, change: Callable[[list[bytes]], list[bytes]], why: str
) -> None:
    part = run / "history" / "n1.jsonl"
    part.write_bytes(b"".join(change(part.read_bytes().splitlines(keepends=True))))
    (reason,) = merged(run).damage
    assert reason.startswith(f"the history of n1 is not whole: {why}")


def test_a_history_that_was_changed_after_the_run_is_found(run: Path) -> None:
    merged(run)
    path = run / "history.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"late_ns":1', b'"late_ns":3'))
    assert "its digest is not the one in run.json" in History.read(path).damage[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "run.json cannot be read"),
        (b"{", "run.json cannot be read"),
        (orjson.dumps(INFO), "run.json does not say what the history holds"),
    ],
)
def test_a_numbered_history_needs_its_run_json(
    run: Path, content: bytes | None, reason: str
) -> None:
    merged(run)
    (run / "run.json").unlink()
    if content is not None:
        (run / "run.json").write_bytes(content)
    assert History.read(run / "history.jsonl").damage == (reason,)


def test_a_history_without_numbers_beside_a_new_run_json_is_damaged_not_old(run: Path) -> None:
    (run / "history.jsonl").write_bytes(b'{"t": 1, "kind": "phase", "name": "start"}\n')
    assert History.read(run / "history.jsonl").damage != ()
    (run / "run.json").write_bytes(orjson.dumps({"run": "ab12"}))
    assert History.read(run / "history.jsonl").damage == ()


def test_run_info_and_run_json_say_the_same(run: Path) -> None:
    merged(run)
    told = orjson.loads((run / "run.json").read_bytes())
    (run / "run.json").write_bytes(orjson.dumps({**told, "seed": 7}))
    reasons = History.read(run / "history.jsonl").damage
    assert reasons == ("run.info and run.json differ in seed",)
