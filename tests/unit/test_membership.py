"""The membership rules of one node."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.membership.actions import FenceRequest, NewView, Standing
from nodes.membership.membership import Membership
from nodes.membership.views import Gossip, Member, View

NAMES = ("n1", "n2", "n3", "n4", "n5")
VIEW = View(1, tuple(Member(name, 0) for name in NAMES))
TIMEOUT = 100


def member(me: str = "n1", names: tuple[str, ...] = NAMES) -> Membership:
    return Membership(
        Member(me, 0), names, joining=False, fence_timeout_ns=TIMEOUT, joiner_ttl_ns=50
    )


def says(
    *suspects: str, view: View = VIEW, follows: str | None = "n1", incarnation: int = 0
) -> Gossip:
    return Gossip(incarnation, view, frozenset(suspects), follows, joining=False)


def joins(incarnation: int) -> Gossip:
    return Gossip(incarnation, View(0, ()), frozenset(), None, joining=True)


def without(view: View, name: str, author: str = "n1") -> View:
    return View(view.number + 1, tuple(m for m in view.members if m.name != name), author)


class TestFenceAndEjection:
    def test_fence_needs_a_majority_of_the_view(self) -> None:
        n1 = member()
        n1.suspect("n5")
        assert n1.tick(0) == []
        assert n1.heard("n2", says("n5"), 1) == []
        assert n1.heard("n3", says("n5"), 2) == [FenceRequest("n5", 1)]

    def test_suspicion_of_a_node_that_follows_another_does_not_count(self) -> None:
        n1 = member()
        n1.suspect("n5")
        n1.heard("n2", says("n5", "n1", follows="n2"), 1)
        assert n1.heard("n3", says("n1", "n5", follows="n2"), 2) == []

    def test_suspicion_in_another_view_does_not_count(self) -> None:
        n1 = member()
        n1.suspect("n5")
        n1.heard("n2", says("n5"), 1)
        other = View(1, tuple(Member(name, 0) for name in NAMES[:4]))
        assert n1.heard("n3", says("n5", view=other), 2) == []

    def test_the_word_of_a_suspected_node_does_not_count(self) -> None:
        n1 = member()
        n1.heard("n2", says("n5"), 0)
        n1.heard("n3", says("n5"), 0)
        n1.suspect("n3")
        n1.suspect("n5")
        assert n1.tick(1) == []
        n1.clear("n3")
        assert n1.tick(2) == []  # nor does what it said before count again

    def test_a_suspicion_that_is_not_repeated_stops_counting(self) -> None:
        ttl = {"fence_timeout_ns": TIMEOUT, "joiner_ttl_ns": 50, "vote_ttl_ns": 10}
        n1 = Membership(Member("n1", 0), NAMES, joining=False, **ttl)  # type: ignore[arg-type]
        n1.suspect("n5")
        n1.heard("n2", says("n5"), 0)
        assert n1.heard("n3", says("n5"), 11) == []
        assert n1.heard("n2", says("n5"), 12) == []
        assert n1.tick(12) == [FenceRequest("n5", 1)]

    def test_no_view_before_the_fence_is_confirmed(self) -> None:
        n1 = self.fencing()
        assert n1.tick(3) == []
        assert n1.fence_answer("n5", 1, False, 4) == []
        assert n1.view == VIEW
        assert n1.fence_answer("n5", 1, True, 5) == []
        assert n1.heard("n2", says("n5"), 6) == []
        (installed,) = n1.heard("n3", says("n5"), 7)
        assert installed == NewView(without(VIEW, "n5"), removed=("n5",), added=())

    def test_a_confirmed_fence_ejects_even_a_target_heard_again(self) -> None:
        n1 = self.fencing()
        n1.clear("n5")
        n1.fence_answer("n5", 1, True, 4)
        n1.heard("n2", says("n5"), 5)
        n1.heard("n5", says(), 6)
        assert n1.view == VIEW  # the target's own voice is none for the majority
        assert [type(a) for a in n1.heard("n3", says("n5"), 7)] == [NewView]

    def test_one_request_per_target_until_it_times_out(self) -> None:
        n1 = self.fencing()
        assert n1.heard("n4", says("n5"), 3) == []
        assert n1.tick(1 + TIMEOUT) == []
        assert n1.tick(2 + TIMEOUT) == [FenceRequest("n5", 1)]
        assert n1.tick(3 + TIMEOUT) == []

    def test_an_answer_for_another_view_or_unasked_is_ignored(self) -> None:
        n1 = self.fencing()
        assert n1.fence_answer("n5", 7, True, 3) == []
        assert n1.fence_answer("n4", 1, True, 3) == []
        n1.heard("n2", says("n5"), 4)
        assert n1.heard("n3", says("n5"), 5) == []
        assert n1.view == VIEW

    def test_a_lower_suspect_leaves_first(self) -> None:
        n2 = self.second("n1", "n5")
        n2.fence_answer("n5", 1, True, 3)
        for name in ("n3", "n4"):
            assert n2.heard(name, says("n1", "n5", follows="n2"), 4) == []
        n2.fence_answer("n1", 1, True, 5)
        n2.heard("n3", says("n1", "n5", follows="n2"), 6)
        n2.heard("n4", says("n1", "n5", follows="n2"), 6)
        assert n2.view == without(VIEW, "n1")

    def test_nobody_is_admitted_while_a_lower_member_is_in(self) -> None:
        n2 = self.second("n1")
        assert n2.heard("n5", joins(1), 3) == []
        n2.fence_answer("n1", 1, True, 4)
        n2.heard("n3", says("n1", follows="n2"), 5)
        n2.heard("n4", says("n1", follows="n2"), 5)
        view = n2.view
        assert view == without(VIEW, "n1")
        n2.heard("n3", says(view=view, follows="n2"), 6)
        n2.heard("n4", says(view=view, follows="n2"), 6)
        assert n2.view.incarnations["n5"] == 1

    def second(self, *suspects: str) -> Membership:
        """n2, followed by n3 and n4, after it has asked for ``suspects`` to be fenced."""
        n2 = member("n2")
        for peer in suspects:
            n2.suspect(peer)
        assert n2.heard("n3", says(*suspects, follows="n2"), 1) == []
        requests = n2.heard("n4", says(*suspects, follows="n2"), 1)
        assert requests == [FenceRequest(peer, 1) for peer in suspects]
        return n2

    def test_the_next_change_waits_until_a_majority_holds_the_view(self) -> None:
        n1 = self.fencing()
        n1.heard("n4", joins(1), 3)  # n4 booted again on its own
        assert n1.fence_answer("n5", 1, True, 4) == []
        view = n1.view
        assert view.incarnations == dict(VIEW.members) | {"n4": 1}
        assert n1.heard("n2", says(view=view), 5) == []
        assert [type(a) for a in n1.heard("n3", says(view=view), 6)] == [NewView]
        assert n1.view == without(view, "n5")

    def fencing(self) -> Membership:
        """n1 after it has asked, at time 2, for n5 to be fenced."""
        n1 = member()
        n1.suspect("n5")
        n1.heard("n2", says("n5"), 1)
        assert n1.heard("n3", says("n5"), 2) == [FenceRequest("n5", 1)]
        return n1

    @pytest.mark.parametrize("size", [2, 4])
    def test_half_of_a_view_never_fences(self, size: int) -> None:
        names = NAMES[:size]
        view = View(1, tuple(Member(name, 0) for name in names))
        n1 = member(names=names)
        for dead in names[size // 2 :]:
            n1.suspect(dead)
        for alive in names[1 : size // 2]:
            assert n1.heard(alive, says(*names[size // 2 :], view=view), 1) == []
        assert n1.tick(10 * TIMEOUT) == []


class TestCoordinator:
    def test_it_is_the_lowest_not_suspected(self) -> None:
        n3 = member("n3")
        assert n3.coordinator() == "n1"
        n3.suspect("n1")
        assert n3.coordinator() == "n2"

    def test_one_that_lost_its_majority_is_passed_over(self) -> None:
        n2 = member("n2")
        n2.heard("n1", says("n2", "n3", follows="n1"), 0)
        assert n2.coordinator() == "n1"
        n2.heard("n1", says("n2", "n3", "n4", follows="n1"), 1)
        assert n2.coordinator() == "n2"

    def test_but_not_by_a_node_that_lost_it_too(self) -> None:
        n2 = member("n2")
        n2.heard("n1", says("n3", "n4", "n5", follows="n1"), 0)
        for peer in NAMES[2:]:
            n2.suspect(peer)
        assert n2.coordinator() == "n1"


class TestViews:
    def test_a_higher_view_of_a_member_of_it_is_taken(self) -> None:
        n2 = member("n2")
        (installed,) = n2.heard("n3", says(view=without(VIEW, "n5")), 0)
        assert installed == NewView(without(VIEW, "n5"), removed=("n5",), added=())

    def test_a_view_announced_by_a_node_outside_it_is_not(self) -> None:
        n2 = member("n2")
        assert n2.heard("n5", says(view=without(VIEW, "n5")), 0) == []
        assert n2.heard("n3", says(view=without(VIEW, "n5"), incarnation=1), 0) == []

    def test_a_lower_view_is_not(self) -> None:
        n2 = member("n2")
        n2.heard("n3", says(view=without(VIEW, "n5")), 0)
        assert n2.heard("n4", says(), 1) == []
        assert n2.view.number == 2

    def test_of_two_views_of_a_number_the_one_that_removes_the_others_author_wins(self) -> None:
        n3 = member("n3")
        first, other = without(VIEW, "n5"), without(VIEW, "n1", author="n2")
        n3.heard("n1", says(view=first), 0)
        assert [type(a) for a in n3.heard("n2", says(view=other), 1)] == [NewView]
        assert n3.heard("n4", says(view=first), 2) == []
        assert n3.view == other

    def test_a_node_that_learns_of_its_ejection_stays_out_until_it_boots(self) -> None:
        n5 = member("n5")
        (installed,) = n5.heard("n1", says(view=without(VIEW, "n5")), 0)
        assert installed == NewView(without(VIEW, "n5"), removed=("n5",), added=())
        assert n5.standing is Standing.EJECTED
        again = View(3, VIEW.members)
        assert n5.heard("n1", says(view=again), 1) == []
        assert n5.standing is Standing.EJECTED


class TestJoining:
    def joiner(self) -> Membership:
        return Membership(
            Member("n5", 1), NAMES, joining=True, fence_timeout_ns=TIMEOUT, joiner_ttl_ns=50
        )

    def test_only_a_view_with_the_new_incarnation_admits_it(self) -> None:
        n5 = self.joiner()
        assert n5.heard("n1", says(), 0) == []
        admitted = View(3, (*VIEW.members[:4], Member("n5", 1)))
        (installed,) = n5.heard("n1", says(view=admitted), 1)
        assert installed == NewView(admitted, removed=(), added=NAMES)
        assert n5.standing is Standing.MEMBER

    def test_the_coordinator_admits_with_a_majority(self) -> None:
        n1 = member()
        n1.heard("n2", says(view=without(VIEW, "n5")), 0)
        view = n1.view
        assert n1.heard("n5", joins(1), 1) == []
        (installed,) = n1.heard("n3", says(view=view), 2)
        admitted = View(3, (*VIEW.members[:4], Member("n5", 1)), "n1")
        assert installed == NewView(admitted, removed=(), added=("n5",))

    def test_it_joins_again_if_its_view_is_superseded_before_a_majority_held_it(self) -> None:
        n5 = self.joiner()
        n5.heard("n1", says(view=View(3, (*VIEW.members[:4], Member("n5", 1)), "n1")), 0)
        other = View(3, VIEW.members[1:4], "n2")
        n5.heard("n2", says(view=other, follows="n2"), 1)
        assert (n5.standing, n5.gossip().joining) == (Standing.JOINING, True)

    def test_it_is_out_if_that_happens_later(self) -> None:
        n5 = self.joiner()
        view = View(3, (*VIEW.members[:4], Member("n5", 1)), "n1")
        n5.heard("n1", says(view=view), 0)
        n5.heard("n2", says(view=view), 0)
        n5.heard("n2", says(view=without(view, "n5")), 1)
        assert n5.standing is Standing.EJECTED

    def test_a_joining_heartbeat_that_is_too_old_admits_nobody(self) -> None:
        n1 = member()
        n1.heard("n2", says(view=without(VIEW, "n5")), 0)
        n1.heard("n5", joins(1), 1)
        assert n1.heard("n3", says(view=n1.view), 52) == []

    def test_a_member_that_boots_again_replaces_its_old_self(self) -> None:
        n1 = member(names=("n1", "n2"))
        (installed,) = n1.heard("n2", joins(1), 0)
        assert isinstance(installed, NewView)
        assert (installed.removed, installed.added) == (("n2",), ("n2",))
        assert n1.heard("n2", joins(1), 1) == []


@settings(deadline=None)
@given(st.integers(1, 64))
def test_two_majorities_of_one_view_share_a_member(size: int) -> None:
    view = View(1, tuple(Member(f"n{i}", 0) for i in range(size)))
    assert 2 * view.majority > size


@pytest.mark.parametrize("size", range(1, 8))
def test_majorities_of_two_successors_overlap_or_the_fenced_one_voted(size: int) -> None:
    """Successors that each eject one; see the module's docstring on views of one number."""
    view = View(1, tuple(Member(f"n{i}", 0) for i in range(size)))
    for a, b in combinations(view.names, 2):
        both = set(without(view, a).names) | set(without(view, b).names)
        majorities = without(view, a).majority + without(view, b).majority
        assert majorities > len(both) - (size % 2 == 0)
