"""Fields of events: every one has the type that its kind says, and a possible value."""

from __future__ import annotations

from typing import Any

import pytest

from crunchbed.checks.fields import wrong
from tests.unit.judged_runs import ejecting_run
from tests.unit.recording import Recording


def test_a_run_as_it_should_be_has_nothing_wrong() -> None:
    assert wrong(ejecting_run().history()) == []


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("agent.late", {"late_ns": "1"}, "late_ns: expected int, got str"),
        ("agent.late", {"late_ns": True}, "late_ns: expected int, got bool"),
        ("agent.late", {"late_ns": -1}, "late_ns: expected no negative number, got -1"),
        ("agent.late", {"late_ns": 1 << 63}, "late_ns: expected a number below 2^63"),
        ("heartbeat.sent", {"peers": 2.5}, "peers: expected list, got float"),
        ("heartbeat.sent", {"peers": ["n1", 2]}, "peers: expected str, got int"),
        ("heartbeat.sent", {"peers": 2, "seq": "x"}, "seq: expected int, got str"),
        ("heartbeat.received", {"counts": {"n1": None}}, "counts: expected int, got NoneType"),
        ("heartbeat.received", {"counts": [1]}, "counts: expected object, got list"),
        ("packets", {"table": [{"hook": "receive"}]}, "table: class is missing"),
        ("write.ack", {"submitted": 10**12}, "submitted: 1 are after their event"),
        ("recovery", {"healthy": 1}, "healthy: expected bool, got int"),
    ],
)
def test_what_is_wrong_is_named(kind: str, fields: dict[str, Any], reason: str) -> None:
    recording = Recording().add(5, kind, "n1", **fields)
    (found,) = wrong(recording.history())
    assert found.startswith(f"{kind}: {reason}")
