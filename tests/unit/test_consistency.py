"""Times of a writer: they grow, but for what the hooks kept while the node had no agent."""

from __future__ import annotations

import pytest

from crunchbed.checks import consistency
from tests.unit.recording import MS, Recording


@pytest.mark.parametrize(("since", "wrong"), [(2000, []), (3300, ["n1 go back by 1.400 s"])])
def test_a_journal_that_waited_for_the_next_agent_is_no_time_that_goes_back(
    since: float, wrong: list[str]
) -> None:
    recording = Recording().complete()
    recording.add(2000, "drop", "n1", id="a:7", entry=3)
    recording.add(3500, "agent.restarted", "n1", id="a:8", since=round(since * MS))
    recording.add(2100, "drop", "n1", id="a:9", entry=4)
    found = list(consistency.wrong_times(recording.history()))
    assert [one[-len(words) :] for one, words in zip(found, wrong, strict=True)] == wrong
