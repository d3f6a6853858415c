"""Membership of one node: views, suspicion by majority, ejection after a confirmed fence.

The rules:

- All nodes start in view 1 with every configured node. A view is a number and its members, each
  with the incarnation (count of its boots) that was admitted.
- Each node says in its heartbeats which view it holds, whom it suspects, and which coordinator it
  follows: the lowest member that it does not suspect. A member that suspects half of the view or
  more is skipped as coordinator by all members that do not.
- A coordinator acts only with a majority of its view (n // 2 + 1 members, itself among them) that
  holds the same view and follows it. So of two coordinators at most one can act, and a node
  without a majority neither ejects nor fences. Two members of a view of two never eject each
  other: the majority of two is two. The same holds for two members of a view of four.
- A member that a majority suspects is fenced. When the fence is confirmed, and a majority has been
  heard once more since, the coordinator announces the next view: its number is one higher, and the
  fenced member is not in it. By then any view that the fenced member still announced is known.
- A view makes one change: one member ejected, or one admitted. The next change waits until a
  majority holds the view. A coordinator that suspects lower members ejects those first, and only
  the lowest member admits: so the same change is not made twice in different ways.
- A node takes a view that supersedes its own (see ``View``) from any member of that view. There is
  one exception: the newcomer that the next view admits is not believed while this node suspects
  that view's author and a majority still holds the present view. That majority may be about to
  eject the author, and the newcomer may be the only node that ever heard of the view.
- A member that hears of a superseding view without itself is ejected, and stays so until it boots
  again. A node that boots again joins: it sends joining heartbeats until a view has its
  incarnation, and starts to join again if that view is superseded before a majority held it. If its
  old incarnation is still a member, one view puts the new one in its place without a fence.
- Each node tells every other one what it has to say. In a cluster of more nodes than a datagram has
  room for, only simulated, it tells the coordinator that it follows, and the coordinator all; and
  that a majority holds the view it knows by another member's word, who has it from the coordinator.
- A view is lost when so many members boot at once that the others are no majority of it. After that
  no node admits another, and the cluster has to be started anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodes.membership.actions import Action, FenceRequest, NewView, Standing
from nodes.membership.datagram import MAX_NODES
from nodes.membership.order import Order
from nodes.membership.views import NO_VIEW, Gossip, Member, View
from nodes.membership.voices import Voices


@dataclass(slots=True)
class _Fence:
    view: int
    asked_ns: int
    confirmed_ns: int = 0

    @property
    def confirmed(self) -> bool:
        return self.confirmed_ns > 0


class Membership:
    """The state machine of one node.

    Args:
        me: This node and the count of its boots.
        order: All configured nodes, by index; the lowest index coordinates. Nodes of one process
            may share one ``Order``.
        joining: False at the first start of the cluster, where every node has the same
            incarnation; True after a reboot.
        fence_timeout_ns: When an unanswered or refused fence request is made again.
        joiner_ttl_ns: How long a joining heartbeat counts as a request to join.
        vote_ttl_ns: How long the suspicions that a member has told count; None with detectors that
            soon suspect a member that tells nothing more.
        settled_ns: When every other member was heard to hold the first view; None: nobody was.
    """

    def __init__(
        self,
        me: Member,
        order: Sequence[str],
        *,
        joining: bool,
        fence_timeout_ns: int,
        joiner_ttl_ns: int,
        vote_ttl_ns: int | None = None,
        settled_ns: int | None = None,
    ) -> None:
        self.me = me
        self._order = order if isinstance(order, Order) else Order(order)
        self.standing = Standing.JOINING if joining else Standing.MEMBER
        self._wide = len(self._order) > MAX_NODES
        first = NO_VIEW if joining else self._order.first_view(me.incarnation)
        said = None
        if settled_ns is not None and not joining:
            nobody: frozenset[str] = frozenset()
            said = Gossip(me.incarnation, first, nobody, self._order[0], False, self._wide)
        self._voices = Voices(me.name, first, said, settled_ns or 0)
        self._fence_timeout_ns = fence_timeout_ns
        self._joiner_ttl_ns = joiner_ttl_ns
        self._vote_ttl_ns = vote_ttl_ns
        self._settled = not joining  # a majority has held a view with this incarnation
        self._joiners: dict[str, tuple[Member, int]] = {}
        self._fences: dict[Member, _Fence] = {}
        self._gossip: tuple[int, Gossip] | None = None

    @property
    def view(self) -> View:
        """The view that this node holds; number 0 while it has none."""
        return self._voices.view

    @property
    def suspects(self) -> frozenset[str]:
        """Whom this node suspects."""
        return self._voices.suspects

    def gossip(self) -> Gossip:
        """Return what this node's next heartbeat has to say; one object until that changes."""
        changes = self._voices.changes
        if self._gossip is None or self._gossip[0] != changes:
            joining = self.standing is Standing.JOINING
            held = self._wide and not joining and self.held_by_majority
            said = Gossip(
                self.me.incarnation, self.view, self.suspects, self.coordinator(), joining, held
            )
            self._gossip = changes, said
        return self._gossip[1]

    def suspect(self, peer: str) -> None:
        """The detector suspects ``peer``; ``tick`` follows once every peer was judged."""
        if peer in self.view.incarnations:
            self._voices.suspect(peer)

    def clear(self, peer: str) -> None:
        """The detector takes its suspicion of ``peer`` back."""
        self._voices.clear(peer)

    @property
    def rests(self) -> bool:
        """Whether it is a member that neither suspects anybody nor waits for anything."""
        voices = self._voices
        coordinates = self.coordinator() == self.me.name
        return (
            self.standing is Standing.MEMBER
            and not voices.suspects
            and voices.held_by_majority
            and not voices.awaiting
            and not self._fences
            and not (coordinates and self._joiners)
        )

    def has_heard(self, sender: str, gossip: Gossip) -> bool:
        """Return whether ``sender`` has said this last, as far as this node has heard."""
        return self._voices.of(sender) == gossip

    def heard(self, sender: str, gossip: Gossip, now_ns: int) -> list[Action]:
        """Take in what ``sender`` says; cheap when that is the same as before."""
        if gossip.joining:
            return self._heard_joiner(Member(sender, gossip.incarnation), now_ns)
        known = self._voices.of(sender)
        if known == gossip:
            self._voices.repeats(sender, now_ns)
            return self.tick(now_ns) if self._voices.awaiting else []
        announcer = Member(sender, gossip.incarnation)
        if self.standing is Standing.EJECTED or not gossip.view.holds(announcer):
            return []
        if known is not None and known.incarnation > gossip.incarnation:
            return []
        self._voices.says(sender, gossip, now_ns)
        believed = self._superseded_by(gossip.view) and not self._orphaned(gossip.view, announcer)
        actions = self._adopt(gossip.view) if believed else []
        self._settled = self._settled or self.held_by_majority
        return actions + self.tick(now_ns)

    def fence_answer(self, target: str, view: int, ok: bool, now_ns: int) -> list[Action]:
        """The fence service confirmed (or refused) the request made in view number ``view``."""
        member = self._member(target)
        fence = self._fences.get(member)
        if fence is None or fence.view != view or not ok:
            return []
        fence.confirmed_ns = now_ns
        if fence.confirmed:
            self._voices.await_followers(member, now_ns)
        return self.tick(now_ns)

    @property
    def held_by_majority(self) -> bool:
        """Whether this node knows of a majority that holds its view."""
        return self._voices.held_by_majority

    @property
    def quorate(self) -> bool:
        """Whether this node is a member of its view and does not suspect half of it or more."""
        return self.standing is Standing.MEMBER and not self._voices.without_majority(self.me.name)

    def coordinator(self) -> str | None:
        """Whom this node follows; see the rules above. None while it holds no view."""
        return self._voices.coordinator()

    def _member(self, name: str) -> Member:
        return Member(name, self.view.incarnations.get(name, -1))

    def _heard_joiner(self, joiner: Member, now_ns: int) -> list[Action]:
        admitted = self.view.incarnations.get(joiner.name, -1)
        if self.standing is not Standing.MEMBER or joiner.incarnation <= admitted:
            return []
        self._joiners[joiner.name] = (joiner, now_ns)
        return self.tick(now_ns)

    def _superseded_by(self, view: View) -> bool:
        if self.standing is Standing.JOINING:
            return view.holds(self.me)
        return view.supersedes(self.view)

    def _orphaned(self, view: View, announcer: Member) -> bool:
        """Return whether a next view, heard from the newcomer in it, may have no other holder."""
        return (
            self.standing is Standing.MEMBER
            and view.number <= self.view.number + 1
            and view.author in self.suspects
            and not self.view.holds(announcer)
            and self.held_by_majority
        )

    def _adopt(self, view: View) -> list[Action]:
        removed, added = view.changes_from(self.view)
        before, held = self.view, view
        if view.holds(self.me):
            self.standing = Standing.MEMBER
        elif self._settled:
            self.standing = Standing.EJECTED
        else:
            self.standing, held = Standing.JOINING, NO_VIEW
        self._voices.hold(held, [name for name in self.suspects if view.keeps(name, before)])
        self._fences = {who: fence for who, fence in self._fences.items() if view.holds(who)}
        self._joiners = {
            name: wish
            for name, wish in self._joiners.items()
            if wish[0].incarnation > view.incarnations.get(name, -1)
        }
        return [NewView(view, removed, added)]

    def tick(self, now_ns: int) -> list[Action]:
        """Do what has become due; to be called about once per interval."""
        if self.standing is not Standing.MEMBER or self.coordinator() != self.me.name:
            return []
        return self._next_view(now_ns) or self._fence_requests(now_ns)

    def _next_view(self, now_ns: int) -> list[Action]:
        members = self.view.incarnations
        for target in self._leaving():
            return self._announce({k: v for k, v in members.items() if k != target})
        if not self._joiners or any(name not in self._joiners for name in self._lower()):
            return []
        for joiner, heard_ns in self._joiners.values():
            # A node that boots again before it was ejected still has its vote.
            votes = joiner.name in members and not self._voices.follows(joiner.name)
            fresh = now_ns - heard_ns <= self._joiner_ttl_ns
            if fresh and self._voices.followers + votes >= self.view.majority:
                return self._announce({**members, joiner.name: joiner.incarnation})
        return []

    def _leaving(self) -> list[str]:
        """Return the targets that can leave now: fenced, and a majority was heard since."""
        ready = [
            target.name
            for target, heard in self._voices.heard_since()
            if heard + 1 >= self.view.majority
        ]
        if not ready:
            return []
        # A lower member that may still coordinate is one that is not known to have booted since.
        lower = {n for n in self._lower() if n in self.suspects and n not in self._joiners}
        return [name for name in self._order.sort(ready) if not lower or name in lower]

    def _lower(self) -> Iterable[str]:
        """Return the members with lower indexes than this one."""
        return itertools.takewhile(lambda name: name != self.me.name, self.view.incarnations)

    def _announce(self, incarnations: dict[str, int]) -> list[Action]:
        members = (Member(n, incarnations[n]) for n in self._order if n in incarnations)
        return self._adopt(View(self.view.number + 1, tuple(members), self.me.name))

    def _fence_requests(self, now_ns: int) -> list[Action]:
        actions: list[Action] = []
        for target in self._order.sort(self._voices.ripe & self.suspects):
            member = self._member(target)
            fence = self._fences.get(member)
            if fence and (fence.confirmed or now_ns - fence.asked_ns < self._fence_timeout_ns):
                continue
            if self._agreed(target, now_ns):
                self._fences[member] = _Fence(self.view.number, now_ns)
                actions.append(FenceRequest(target, self.view.number))
        return actions

    def _agreed(self, target: str, now_ns: int) -> bool:
        """Return whether a majority suspects ``target`` by votes that still count; it is ripe."""
        if self._vote_ttl_ns is None:
            return True
        votes = self._voices.votes(target, now_ns - self._vote_ttl_ns)
        return votes + 1 >= self.view.majority
