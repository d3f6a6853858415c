"""History: reading, merging, indexes, and what a killed writer leaves."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest

from crunchbed.history.history import History, Interval
from crunchbed.history.merge import merge
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.faults import NodeReset, NodeUp
from reserve_agent.contract.events.heartbeats import RingUp
from reserve_agent.contract.events.run import PhaseBegan
from reserve_agent.contract.events.switches import ControllerRestarted
from reserve_agent.contract.events.writes import WriteAcknowledged
from reserve_agent.errors import BadInput


def read(path: Path) -> list[Event]:
    return list(History.read(path).events)


def write(path: Path, *events: dict[str, object], tail: bytes = b"") -> Path:
    path.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events) + tail)
    return path


def test_events_are_sorted_by_time_and_keep_their_fields(tmp_path: Path) -> None:
    path = write(
        tmp_path / "h.jsonl",
        {"t": 30, "node": "n1", "kind": "write.ack", "submitted": 1},
        {"t": 10, "node": "n2", "kind": "a"},
        {"t": 20, "kind": "phase", "name": "control"},
    )
    events = History.read(path).events
    assert [(e.t, e.node, e.kind) for e in events] == [
        (10, "n2", "a"),
        (20, "run", "phase"),
        (30, "n1", "write.ack"),
    ]
    assert isinstance(events[2], WriteAcknowledged)
    assert events[2].submitted == 1


def test_events_of_the_same_time_keep_their_order(tmp_path: Path) -> None:
    lines = ({"t": 5, "kind": "ring.up", "ring": i, "peer": "n1"} for i in range(9))
    history = History.read(write(tmp_path / "h.jsonl", *lines))
    assert [event.ring for event in history.of(RingUp)] == list(range(9))


@pytest.mark.parametrize("cut", [1, 5, 12, 27])
def test_a_last_line_cut_by_a_kill_is_left_out(cut: int, tmp_path: Path) -> None:
    whole = b'{"t": 2, "kind": "later", "seq": 123}\n'
    path = write(tmp_path / "h.jsonl", {"t": 1, "kind": "k"}, tail=whole[:cut])
    assert [event.t for event in History.read(path).events] == [1]


def test_a_last_line_that_lacks_only_its_newline_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "h.jsonl", {"t": 1, "kind": "k"}, tail=b'{"t": 2, "kind": "k"}')
    assert [event.t for event in History.read(path).events] == [1, 2]


@pytest.mark.parametrize(
    "line", [b"{", b"[1]", b"5", b'{"t": "1", "kind": "k"}', b'{"t": 1}', b"", b"\xff", b"null"]
)
def test_a_damaged_line_before_the_last_is_named(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    path.write_bytes(b'{"t": 1, "kind": "k"}\n' + line + b'\n{"t": 2, "kind": "k"}\n')
    with pytest.raises(BadInput, match=r"h\.jsonl:2: expected an event with t and kind"):
        History.read(path)


def test_an_absent_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        History.read(tmp_path / "none.jsonl")


def test_files_are_merged_by_time(tmp_path: Path) -> None:
    rng = random.Random(4)  # noqa: S311 - repeatable, not secret
    paths = []
    for node in ("n1", "n2", "n3"):
        times = [rng.randrange(1000) for _ in range(200)]
        events: list[dict[str, object]] = [{"t": t, "kind": "k", "node": node} for t in times]
        paths.append(write(tmp_path / f"{node}.jsonl", *events, tail=b'{"t": 5, "ki'))
    merge(paths, tmp_path / "all.jsonl")
    lines = (tmp_path / "all.jsonl").read_bytes().splitlines()
    merged = [orjson.loads(line)["t"] for line in lines]
    assert len(merged) == 600
    assert merged == sorted(merged)
    assert read(tmp_path / "all.jsonl") == sorted(
        (event for path in paths for event in read(path)), key=lambda event: event.t
    )


def test_an_unreadable_part_leaves_no_merged_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        merge([tmp_path / "nowhere.jsonl"], tmp_path / "all.jsonl")
    assert not (tmp_path / "all.jsonl").exists()


def test_events_are_found_by_kind_and_node() -> None:
    kinds = (NodeReset, ControllerRestarted)
    history = History([kinds[t % 2](t=t, node=f"n{t % 3}") for t in range(12)])
    assert [e.t for e in history.of(NodeReset)] == [0, 2, 4, 6, 8, 10]
    assert [e.t for e in history.of(NodeReset, "n1")] == [4, 10]
    assert not history.of(NodeUp)
    assert not history.of(NodeReset, "n9")


def test_events_are_found_by_time() -> None:
    history = History([NodeReset(t=t, node=f"n{t % 2}") for t in (1, 2, 2, 3, 5, 5, 8)])
    assert [e.t for e in history.during(NodeReset, Interval(2, 5))] == [2, 2, 3]
    assert [e.t for e in history.during(NodeReset, Interval(0, 6), "n1")] == [1, 3, 5, 5]
    assert not history.during(NodeReset, Interval(6, 8))
    assert not history.during(NodeReset, Interval(5, 2))
    assert not history.during(NodeUp, Interval(0, 9))


def test_a_phase_lasts_until_the_next() -> None:
    names = ["start", "control", "inject", "recovery", "collect"]
    marks = [PhaseBegan(t=t * 10, node="run", name=name) for t, name in enumerate(names)]
    history = History([*marks, NodeReset(t=57, node="n1")])
    assert history.phase("control") == Interval(10, 20)
    assert history.phase("collect") == Interval(40, 58)
    assert history.measured == Interval(0, 40)
    assert history.missing_phases() == []
    assert History(marks[:3]).missing_phases() == ["recovery", "collect"]
    assert History(marks[:3]).phase("collect") is None
    assert History([]).span == Interval(0, 0)


def test_an_interval_holds_its_start_and_not_its_end() -> None:
    one = Interval(10, 20)
    assert 10 in one
    assert 20 not in one
    assert one.clip(Interval(15, 30)) == Interval(15, 20)
    assert one.clip(Interval(20, 30)) is None


def test_a_large_history_is_read(tmp_path: Path) -> None:
    """A fifth of a million events; `make bench` says how long a million take."""
    path = tmp_path / "h.jsonl"
    line = (
        b'{"t":%d,"kind":"write.ack","seq":%d,"block":4096,"blocks":4,"submitted":5,"node":"n%d"}'
    )
    path.write_bytes(b"\n".join(line % (i * 7 % 200_000, i, i % 3) for i in range(200_000)) + b"\n")
    history = History.read(path)
    assert len(history.of(WriteAcknowledged, "n1")) == 66_667
