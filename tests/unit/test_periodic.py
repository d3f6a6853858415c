"""What hooks count, against what they have written down."""

from __future__ import annotations

import pytest

from crunchbed.checks.periodic import contradictions
from tests.unit.judged_runs import good_run, scenario

WHERE = {"hook": "transmit", "reason": "reserve_exhausted"}


@pytest.mark.parametrize(("written", "wrong"), [([2, 1], 0), ([2], 1), ([], 1)])
def test_a_dropped_buffer_of_several_segments_is_one_record(written: list[int], wrong: int) -> None:
    """Four packets in two buffers: seen in a run that said `6 packets were dropped`."""
    recording = good_run()
    for number, pages in enumerate(written):
        recording.add(
            2000 + number, "drop", "n1", **WHERE, cls="block-io", pages=pages, entry=number
        )
    counted = {**WHERE, "class": "block-io", "verdict": "drop", "packets": 4, "pages": 3}
    recording.add(9000, "packets", "n1", table=[counted])
    found = [one for one in contradictions(recording.history(), scenario()) if "dropped" in one]
    assert len(found) == wrong
