"""Kinds of events: as JSON and back, and lines that lack what later versions write."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.archive.rejudge import rejudge
from crunchbed.checks.drops import Drops
from crunchbed.checks.faults import fault_spans
from crunchbed.checks.heartbeats import misses, sent
from crunchbed.checks.judge import judge
from crunchbed.checks.lives import downtimes
from crunchbed.checks.membership import ejections
from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.base import (
    HERE,
    NOW,
    Event,
    MalformedEvent,
    UnknownEvent,
)
from reserve_agent.contract.events.faults import FaultBegan, NodeReset
from reserve_agent.contract.events.heartbeats import HeartbeatMissed
from reserve_agent.contract.events.kinds import KINDS, from_record
from reserve_agent.contract.events.pressure import PoolSampled, PressureBegan
from tests.unit.judged_runs import good_run, scenario
from tests.unit.recording import MS, event
from tests.unit.test_rejudge import write_run


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_becomes_json_and_the_same_event_again(kind: str) -> None:
    before = event(kind, t=5, node="n1")
    line = orjson.dumps(before.record())
    after = from_record(orjson.loads(line))
    assert type(after) is KINDS[kind]
    assert (after.kind, after.t, after.node) == (kind, 5, "n1")
    assert orjson.dumps(after.record()) == line


def test_no_two_kinds_and_no_two_keys_have_one_name() -> None:
    package = KINDS["phase"].__module__.rpartition(".")[0]
    every = [cls for cls in Event.__subclasses__() if cls.__module__.startswith(package)]
    assert {*KINDS.values(), UnknownEvent} == set(every)
    for cls in KINDS.values():
        keys = [key for _, key in cls.shape.keys]
        assert len({*keys, "t", "node", "kind"}) == len(keys) + 3, cls
        assert not set(keys) & set(dir(Event)), cls


def test_what_the_writer_leaves_open_is_set_where_the_event_is_put_on_file() -> None:
    assert NodeReset().record() == {"kind": "node.reset"}
    assert NodeReset().stamped(7, "n2") == NodeReset(t=7, node="n2")
    assert NodeReset(t=3, node="n1").stamped(7, "n2") == NodeReset(t=3, node="n1")
    assert (NodeReset().t, NodeReset().node) == (NOW, HERE)


@pytest.mark.parametrize("fields", [{"entry": 1}, {"free": 1, "fre": 2}])
def test_an_event_has_every_field_that_it_needs_and_no_other(fields: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="PressureBegan: missing or unknown: fre"):
        PressureBegan(**fields)


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        from_record({"t": 1, "kind": "node.reset"}).t = 2  # type: ignore[misc]


def test_a_field_named_like_a_keyword_has_its_plain_name_on_disk() -> None:
    record = {"t": 1, "kind": "fault.begin", "fault": "loss", "from": "n2"}
    began = from_record(record)
    assert isinstance(began, FaultBegan)
    assert began.from_ == "n2"
    assert began.record()["from"] == "n2"


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"t": 1, "kind": "pressure.end"}, "pressure.end: duration_ns, since missing"),
        ({"t": 1}, "expected an event with t and kind"),
        ({"t": "1", "kind": "node.reset"}, "expected an event with t and kind"),
        ({"t": True, "kind": "node.reset"}, "expected an event with t and kind"),
        ({"t": 1, "kind": 7}, "expected an event with t and kind"),
        ({"t": 1, "kind": ["node.reset"]}, "expected an event with t and kind"),
        ([1], "expected an event with t and kind"),
        (None, "expected an event with t and kind"),
    ],
)
def test_what_is_no_event_is_refused(record: Any, why: str) -> None:
    with pytest.raises(MalformedEvent) as refused:
        from_record(record)
    assert str(refused.value) == why


def test_an_unknown_kind_is_kept_by_its_name() -> None:
    found = from_record({"t": 1, "kind": "of.tomorrow", "what": 5})
    assert isinstance(found, UnknownEvent)
    assert (found.kind, found.node) == ("of.tomorrow", "run")


def history_of(*records: dict[str, Any]) -> History:
    return History([from_record({"node": "n1", **record}) for record in records])


def test_a_field_that_a_line_lacks_is_what_the_first_checks_took_it_for() -> None:
    """None of these lines has a field that checks asked for with a default before events had."""
    miss = {"t": 5, "kind": "heartbeat.miss", "deadline": 5}
    dropped = {"t": 4, "kind": "drop", "hook": "transmit", "reason": "loss", "cls": "heartbeat"}
    history = history_of(
        {"t": 0, "kind": "fault.begin", "fault": "link-down"},
        {"t": 1, "kind": "fence.start"},
        {"t": 2, "kind": "node.down"},
        {"t": 2, "kind": "heartbeat.sent", "peers": 3},
        dropped,
        miss,
        {"t": 6, "kind": "membership.view", "number": 4, "members": ["n2"], "removed": ["n1"]},
        {"t": 9, "kind": "node.up"},
    )
    assert downtimes(history, "n1") == [Interval(1, 9)], "who records it is who it is about"
    assert [(one.node, one.t) for one in ejections(history)] == [("n1", 1)], "a quorate view"
    assert sent(history, "n1") == 3
    (missed,) = misses(history)
    assert (missed.peer, missed.tag, missed.probe, missed.silent_ns) == (None, None, None, None)
    (fault,) = fault_spans(history)
    assert (fault.targets, fault.hit) == (("n1",), True)
    assert fault.takes_down("n1", "a")
    assert fault.takes_down("n1", "b")
    (stall,) = fault_spans(history_of({"t": 0, "kind": "fault.begin", "fault": "stall"}))
    assert stall.stalls("n1")
    assert not stall.stalls("n1", "initiator")
    assert Drops(history, []).cause(missed, 100 * MS) == "stalled_sender"
    pair = HeartbeatMissed(t=5, node="n1", peer="n2", deadline=5)
    assert Drops(history, []).cause(pair, 100 * MS) is None, "to whom it went is not known"


def test_a_run_of_the_first_version_is_judged(tmp_path: Path) -> None:
    """Without fields that later versions have added, or that nobody has to write."""
    directory = write_run(tmp_path / "run", good_run())
    file = directory / "history.jsonl"
    lines = []
    for line in file.read_bytes().splitlines():
        record = orjson.loads(line)
        for key in ("hoarded", "computed", "transport", "seed", "entry", "quorate"):
            record.pop(key, None)
        lines.append(orjson.dumps(record))
    file.write_bytes(b"\n".join(lines) + b"\n")
    _, result = rejudge(directory)
    assert result == judge(good_run().history(), scenario()).model_copy(update={"seed": None})


def test_fields_that_every_version_has_written_must_be_there() -> None:
    assert PoolSampled.shape.required == {
        "free",
        "dirty",
        "demand",
        "rx_running",
        "rx_stalled",
        "tx",
        "low_water",
    }
