"""What is made of corosync's word: views, suspicions, fence requests."""

from __future__ import annotations

import pytest

from nodes.corosync.notices import (
    LinkDown,
    LinkUp,
    NotScheduled,
    RingFormed,
    Synchronized,
    TokenOverdue,
    read_notice,
)
from nodes.corosync.reports import NoticeReports, Packets, event_of, packets_counted
from nodes.corosync.watch import ClusterWatch, Effect, FenceWanted, Suspected, ViewSeen
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import (
    HeartbeatLate,
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
    RingDown,
    RingUp,
)
from reserve_agent.contract.events.membership import (
    FenceRequested,
    MembershipSuspected,
    ViewInstalled,
)

IDS = {"n1": 1, "n2": 2, "n3": 3}
TIMEOUT = 2_000


def watch(me: str = "n2") -> ClusterWatch:
    """Return a watch that has seen all three join a quorate ring."""
    fresh = ClusterWatch(me, IDS, TIMEOUT)
    fresh.ring(5, [])
    fresh.quorum(5, [IDS[me]], False, 0)
    fresh.ring(9, [])
    fresh.quorum(9, [1, 2, 3], True, 0)
    return fresh


def change(on: ClusterWatch, number: int, members: list[int], left: list[int]) -> list[Effect]:
    """Have it see the next ring at time 10."""
    quorate = len(members) >= 2
    return [*on.ring(number, left), *on.quorum(number, members, quorate, 10)]


def test_the_first_views_add_whoever_is_there_and_fence_nobody_who_never_was() -> None:
    fresh = ClusterWatch("n1", IDS, TIMEOUT)
    assert fresh.quorum(5, [1], False, 0) == [ViewSeen(5, ("n1",), (), (), False)]
    two = ViewSeen(9, ("n1", "n2"), (), ("n1", "n2"), True)
    assert fresh.quorum(9, [2, 1], True, 0) == [two]
    three = ViewSeen(13, ("n1", "n2", "n3"), (), ("n3",), True)
    assert fresh.quorum(13, [3, 1, 2], True, 0) == [three]


def test_the_lowest_member_has_whoever_left_fenced() -> None:
    left = ViewSeen(13, ("n2", "n3"), ("n1",), (), True)
    expected = [Suspected("n1"), left, FenceWanted("n1", 13)]
    assert change(watch("n2"), 13, [2, 3], [1]) == expected
    assert change(watch("n3"), 13, [2, 3], [1]) == expected[:2]


def test_without_quorum_nobody_is_fenced_and_nothing_changes() -> None:
    alone = watch("n1")
    assert change(alone, 13, [1], [2, 3]) == [
        Suspected("n2"),
        Suspected("n3"),
        ViewSeen(13, ("n1",), (), (), False),
    ]
    assert alone.tick(99_999) == []


def test_the_quorum_of_the_last_ring_fences_nobody_who_left_it() -> None:
    """A node that is alone learns in two steps that it is, and that it has no quorum."""
    alone = watch("n1")
    assert alone.ring(13, [2, 3]) == [Suspected("n2"), Suspected("n3")]
    assert alone.tick(99_999) == []
    assert alone.quorum(13, [1], False, 99_999) == [ViewSeen(13, ("n1",), (), (), False)]
    assert alone.tick(999_999) == []


def test_who_left_while_there_was_no_quorum_is_fenced_when_there_is_one_again() -> None:
    two = watch("n2")
    change(two, 13, [2], [1, 3])
    assert change(two, 17, [2, 3], []) == [
        ViewSeen(17, ("n2", "n3"), ("n1",), (), True),
        FenceWanted("n1", 13),
    ]


def test_who_is_back_before_there_is_quorum_is_not_fenced() -> None:
    two = watch("n2")
    change(two, 13, [2], [1, 3])
    assert change(two, 17, [1, 2, 3], []) == [ViewSeen(17, ("n1", "n2", "n3"), (), (), True)]
    assert two.tick(99_999) == []


def test_a_node_that_left_and_came_back_at_once_is_in_both_lists() -> None:
    assert change(watch("n1"), 13, [1, 2, 3], [3]) == [
        Suspected("n3"),
        ViewSeen(13, ("n1", "n2", "n3"), ("n3",), ("n3",), True),
    ]


def test_an_unanswered_request_is_made_again_and_a_confirmed_one_is_not() -> None:
    two = watch("n2")
    change(two, 13, [2, 3], [1])
    assert two.tick(10 + TIMEOUT - 1) == []
    assert two.tick(10 + TIMEOUT) == [FenceWanted("n1", 13)]
    two.fence_answer("n1", 13, False)
    assert two.tick(10 + 2 * TIMEOUT) == [FenceWanted("n1", 13)]
    two.fence_answer("n1", 9, True)  # an answer to something else
    two.fence_answer("n3", 13, True)
    assert two.tick(10 + 3 * TIMEOUT) == [FenceWanted("n1", 13)]
    two.fence_answer("n1", 13, True)
    assert two.tick(10 + 9 * TIMEOUT) == []


def test_when_the_lowest_leaves_too_the_next_asks_for_both_by_their_own_rings() -> None:
    five = ClusterWatch("n3", {f"n{i}": i for i in range(1, 6)}, TIMEOUT)
    five.quorum(9, [1, 2, 3, 4, 5], True, 0)
    five.ring(13, [1])
    assert FenceWanted("n1", 13) not in five.quorum(13, [2, 3, 4, 5], True, 0)
    five.ring(17, [2])
    assert five.quorum(17, [3, 4, 5], True, 0)[1:] == [FenceWanted("n1", 13), FenceWanted("n2", 17)]


def test_the_same_again_is_not_reported() -> None:
    assert watch().quorum(9, [1, 2, 3], True, 5) == []
    (lost,) = watch().quorum(9, [1, 2, 3], False, 5)
    assert lost == ViewSeen(9, ("n1", "n2", "n3"), (), (), False)


@pytest.mark.parametrize(
    ("line", "notice"),
    [
        (
            "Nov 24 00:31:02.1 notice  [TOTEM ] Token has not been received in 375 ms ",
            TokenOverdue(375),
        ),
        ("Nov 24 00:31:02.1 info    [KNET  ] link: host: 12 link: 0 is down", LinkDown(12, 0)),
        (
            "warning [MAIN  ] Corosync main process was not scheduled (@1763944262000) for "
            "612.2500 ms (threshold is 400.0000 ms). Consider token timeout increase.",
            NotScheduled(612_250_000),
        ),
        ("info    [KNET  ] rx: host: 2 link: 0 is up", LinkUp(2, 0)),
        ("notice  [TOTEM ] A new membership (1.9) was formed. Members left: 1", RingFormed()),
        (
            "notice  [MAIN  ] Completed service synchronization, ready to provide service.",
            Synchronized(),
        ),
        ("notice  [QUORUM] Sync members[1]: 2", None),
        ("", None),
    ],
)
def test_notices_are_read_from_the_log(line: str, notice: object) -> None:
    assert read_notice(line) == notice


def missed(peer: str | None, silent_ns: int) -> HeartbeatMissed:
    return HeartbeatMissed(t=7, peer=peer, seq=0, deadline=7, silent_ns=silent_ns)


@pytest.mark.parametrize(
    ("rings", "notice", "events"),
    [
        (1, TokenOverdue(375), [missed(None, 375_000_000)]),
        (1, NotScheduled(12), [HeartbeatLate(t=7, late_ns=12)]),
        (1, LinkDown(2, 0), [missed("n2", 500_000_000)]),
        (1, LinkDown(9, 0), [missed(None, 500_000_000)]),
        (1, LinkUp(2, 0), []),
        (2, LinkDown(2, 1), [RingDown(t=7, ring=1, peer="n2")]),
        (2, LinkUp(2, 1), [RingUp(t=7, ring=1, peer="n2")]),
        (2, LinkDown(9, 1), []),
    ],
)
def test_notices_become_events(rings: int, notice: object, events: list[Event]) -> None:
    names = {number: name for name, number in IDS.items()}
    reports = NoticeReports(names, rings, token_ms=500)
    assert reports.events(notice, 7) == events  # type: ignore[arg-type]


def test_corosync_answers_from_a_synchronization_to_the_next_ring() -> None:
    """A question in between would have it poll without a pause until the synchronization ends."""
    reports = NoticeReports({2: "n2"}, 1, token_ms=500)
    seen = [reports.answers]
    for notice in (RingFormed(), Synchronized(), TokenOverdue(375), RingFormed(), RingFormed()):
        assert not isinstance(notice, RingFormed | Synchronized) or not reports.events(notice, 7)
        seen.append(reports.answers)
    assert seen == [False, False, True, True, False, False]


def test_a_peer_is_missed_when_its_last_ring_is_down() -> None:
    reports = NoticeReports({2: "n2"}, 2, token_ms=500)
    assert len(reports.events(LinkDown(2, 0), 6)) == 1
    expected = [RingDown(t=7, ring=1, peer="n2"), missed("n2", 500_000_000)]
    assert reports.events(LinkDown(2, 1), 7) == expected


def test_effects_and_packets_become_events() -> None:
    assert event_of(Suspected("n3"), 7) == MembershipSuspected(t=7, peer="n3", misses=0)
    assert event_of(FenceWanted("n3", 13), 7) == FenceRequested(t=7, target="n3", view=13)
    view = ViewSeen(13, ("n1",), ("n3",), (), False)
    assert event_of(view, 7) == ViewInstalled(
        t=7, number=13, members=("n1",), removed=("n3",), added=(), quorate=False
    )
    assert packets_counted({"n2": Packets(3, 4), "n3": Packets(5, 0)}, 7) == [
        HeartbeatSent(t=7, peers=8),
        HeartbeatReceived(t=7, counts={"n2": 4, "n3": 0}, malformed=0, late=0),
    ]


def test_one_of_two_nodes_decides_nothing_until_the_other_is_fenced() -> None:
    watch = ClusterWatch("n1", {"n1": 1, "n2": 2}, 100, two_node=True)
    watch.quorum(5, [1, 2], True, 0)
    assert watch.ring(9, [2]) == [Suspected("n2")]
    alone = ViewSeen(9, ("n1",), (), (), quorate=False)
    assert watch.quorum(9, [1], True, 10) == [alone, FenceWanted("n2", 9)]
    assert watch.tick(20) == []
    watch.fence_answer("n2", 9, False)
    assert watch.tick(110) == [FenceWanted("n2", 9)], "a refused request is made again"
    watch.fence_answer("n2", 9, True)
    assert watch.tick(120) == [ViewSeen(9, ("n1",), ("n2",), (), quorate=True)]
    assert watch.tick(130) == []
    assert watch.quorum(13, [1, 2], True, 200) == [
        ViewSeen(13, ("n1", "n2"), (), ("n2",), quorate=True)
    ]


def test_two_of_two_that_meet_again_need_no_fence() -> None:
    watch = ClusterWatch("n2", {"n1": 1, "n2": 2}, 100, two_node=True)
    watch.quorum(5, [1, 2], True, 0)
    watch.ring(9, [1])
    watch.quorum(9, [2], True, 10)
    watch.ring(13, [])
    assert watch.quorum(13, [1, 2], True, 20) == [ViewSeen(13, ("n1", "n2"), (), (), quorate=True)]
    assert watch.tick(500) == []
