"""Views without quorum, and two that had one at once."""

from __future__ import annotations

from crunchbed.checks.judge import judge
from crunchbed.checks.membership import ejections
from crunchbed.checks.split_brain import split_brains
from tests.unit.judged_runs import good_run, scenario
from tests.unit.recording import Recording


def seen(
    recording: Recording, ms: float, node: str, members: str, *, quorate: bool | None = True
) -> Recording:
    """Add a view of ``node``; one that does not say whether it is quorate with None."""
    fields = {} if quorate is None else {"quorate": quorate}
    names = members.split()
    return recording.add(
        ms, "membership.view", node, number=9, members=names, removed=[], added=[], **fields
    )


def two_halves(second: float = 2100, *, quorate: bool | None = True) -> Recording:
    """n1 and n2 decide from 2 s on, n3 and n4 from ``second``, up to 3 s."""
    recording = Recording().complete()
    for node in ("n1", "n2"):
        seen(recording, 2000, node, "n1 n2", quorate=quorate)
    seen(recording, second, "n3", "n3 n4", quorate=quorate)
    seen(recording, 3000, "n3", "n1 n2 n3 n4")
    return recording


def test_two_groups_that_decide_at_once_are_a_split_brain() -> None:
    (line,) = split_brains(two_halves().history())
    assert line == ("split brain: n1, n2 and n3, n4 were quorate at once for 0.900 s (at 2.100 s)")
    assert split_brains(two_halves(quorate=None).history()) == [line]


def test_groups_that_do_not_both_decide_are_none() -> None:
    assert split_brains(two_halves(quorate=False).history()) == []


def test_one_after_the_other_is_none() -> None:
    recording = two_halves()
    for node in ("n1", "n2"):
        seen(recording, 2050, node, "n1 n2 n3 n4")
    assert split_brains(recording.history()) == []


def test_a_view_ends_with_its_holder() -> None:
    recording = two_halves()
    recording.add(2090, "node.down", target="n1").add(2099, "node.down", target="n2")
    assert split_brains(recording.history()) == []


def test_a_common_member_or_a_view_without_its_holder_is_none() -> None:
    recording = Recording().complete()
    seen(recording, 2000, "n1", "n1 n2")
    seen(recording, 2000, "n3", "n2 n3")
    seen(recording, 2000, "n4", "n3 n5")  # n4 is out, and knows it
    assert split_brains(recording.history()) == []


def test_a_split_brain_fails_a_run_whatever_is_expected() -> None:
    recording = good_run()
    seen(recording, 2000, "n1", "n1")
    seen(recording, 2000, "n2", "n2 n3")
    result = judge(recording.history(), scenario().with_overrides({"expect": []}))
    assert result.verdict == "fail"
    assert result.reasons[0].startswith("split brain: n1 and n2, n3 were quorate at once")


def test_a_view_without_quorum_ejects_nobody() -> None:
    recording = Recording().complete()
    change: dict[str, object] = {"number": 13, "removed": ["n3"], "added": []}
    for at, quorate in ((2000, False), (2001, True)):
        recording.add(at, "membership.view", "n1", quorate=quorate, **change)
    assert [one.t for one in ejections(recording.history())] == [2_001_000_000]
    recording.events = recording.events[:-1]
    assert ejections(recording.history()) == []
