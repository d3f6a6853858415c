"""What the other members last said, and how many of them agree, counted as they speak.

A count is brought up to date when a node says something new, when it is suspected or cleared, and
when the view changes. So a heartbeat that says the same as before costs nothing here, and no
question costs a look at every member.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from nodes.membership.views import Gossip, Member, View


class Voices:
    """What one node holds, whom it suspects, and what it knows of what the others say.

    A *holder* is a member that holds the same view and is not suspected. A *follower* is a holder
    that takes this node for the coordinator. The node itself is both while it is a member.

    Args:
        me: The node.
        view: The view that it holds.
        settled: What every other member has said; None: nobody has said anything.
        settled_ns: When, nanoseconds.

    Attributes:
        changes: Grows with every change of what is held, suspected or said.
        followers: How many members follow this node.
        ripe: The nodes that enough followers suspect for a fence, if their votes are young enough.
    """

    def __init__(
        self, me: str, view: View, settled: Gossip | None = None, settled_ns: int = 0
    ) -> None:
        self._me = me
        self._settled = settled
        self._settled_ns = settled_ns
        self._said: dict[str, Gossip | None] = {}  # where it is not ``settled``
        self._heard_ns: dict[str, int] = {}
        self._suspected: set[str] = set()
        self._suspects: frozenset[str] | None = frozenset()
        self._votes: Counter[str] = Counter()
        self._since: dict[Member, tuple[int, set[str]]] = {}
        self._coordinator: tuple[int, str | None] = (-1, None)
        self.changes = 0
        self._told_held = False  # somebody who holds the view says that a majority does
        self.ripe: set[str] = set()
        self._count_all(view)

    # --- what changes

    def hold(self, view: View, suspected: Collection[str]) -> None:
        """Hold ``view`` from now on, and go on suspecting those alone."""
        if len(suspected) != len(self._suspected):
            self._suspected = set(suspected)
            self._suspects = None
        self._since = {who: since for who, since in self._since.items() if view.holds(who)}
        self._count_all(view)
        for name in self._said if self._since else ():
            self._note_heard(name)

    def suspect(self, peer: str) -> None:
        """Suspect ``peer``: what it said must not count again when it is next heard."""
        self._count(peer, -1)
        self._said[peer] = None
        self._suspected.add(peer)
        self._suspects = None
        self._counted(peer)

    def clear(self, peer: str) -> None:
        """Suspect ``peer`` no more."""
        if peer in self._suspected:
            self._suspected.remove(peer)
            self._suspects = None
            self._count(peer, 1)
            self._counted(peer)

    def says(self, name: str, gossip: Gossip, at_ns: int) -> None:
        """Take in that ``name`` says something else than before, of a view that holds this boot."""
        self._count(name, -1)
        self._said[name] = gossip
        self._heard_ns[name] = at_ns
        self._told_held = self._told_held or (gossip.held and gossip.view == self.view)
        self._count(name, 1)
        self._counted(name)

    def repeats(self, name: str, at_ns: int) -> None:
        """Take in that ``name`` says the same as before."""
        self._heard_ns[name] = at_ns
        self._note_heard(name)

    def await_followers(self, target: Member, after_ns: int) -> None:
        """Begin to note which followers, other than ``target``, are heard after ``after_ns``."""
        self._since[target] = after_ns, set()
        for name in self._said:
            self._note_heard(name)

    # --- what is asked

    @property
    def suspects(self) -> frozenset[str]:
        """Whom this node suspects."""
        if self._suspects is None:
            self._suspects = frozenset(self._suspected)
        return self._suspects

    def of(self, name: str) -> Gossip | None:
        """Return what ``name`` said last; None if nothing that counts."""
        return self._said.get(name, self._settled)

    def follows(self, name: str) -> bool:
        """Return whether ``name``, another node, follows this one."""
        said = self._holding(name)
        return said is not None and said.follows == self._me

    @property
    def held_by_majority(self) -> bool:
        """Whether this node knows of a majority that holds its view."""
        return self._told_held or self._holders >= self.view.majority

    @property
    def awaiting(self) -> bool:
        """Whether ``await_followers`` was called for a member."""
        return bool(self._since)

    def heard_since(self) -> Iterator[tuple[Member, int]]:
        """Yield whom followers were awaited for, and how many have been heard."""
        return ((target, len(names)) for target, (_, names) in self._since.items())

    def votes(self, target: str, since_ns: int) -> int:
        """Return how many followers suspect ``target`` and were heard at ``since_ns`` or later."""
        return sum(
            self._heard_ns.get(name, self._settled_ns) >= since_ns
            for name, said in self._said.items()
            if said is not None and target in said.suspects and self.follows(name)
        )

    def coordinator(self) -> str | None:
        """Return the lowest member that is not suspected and has not lost its majority.

        A node that has lost its own does not ask whether others have. None without a view.
        """
        at, name = self._coordinator
        if at != self.changes:
            name = self._find_coordinator()
            self._coordinator = self.changes, name
        return name

    def without_majority(self, name: str) -> bool:
        """Return whether ``name`` says, in this view, that it suspects half of it or more."""
        suspects: set[str] | frozenset[str] = self._suspected
        if name != self._me:
            said = self.of(name)
            if said is None or said.view != self.view:
                return False
            suspects = said.suspects
        return len(self.view.members) - len(suspects) < self.view.majority

    # --- counting

    def _find_coordinator(self) -> str | None:
        cut_off = self.without_majority(self._me)
        for name in self.view.incarnations:
            if name not in self._suspected and (cut_off or not self.without_majority(name)):
                return name
        return None

    def _holding(self, name: str) -> Gossip | None:
        """Return what another node says if it holds this view and is not suspected."""
        said = self.of(name)
        if said is None or name == self._me or name in self._suspected or said.view != self.view:
            return None
        return said  # a node that is heard is a member of the view that it tells

    def _count_all(self, view: View) -> None:
        self.view = view
        said = self._said.values()
        self._told_held = any(one is not None and one.held and one.view == view for one in said)
        self.changes += 1
        self._holders = self.followers = int(self._me in view.incarnations)
        self._votes.clear()
        self.ripe.clear()
        if self._settled is not None and self._settled.view == view:
            self._holders = len(view.members)
            if self._settled.follows == self._me:
                self.followers = self._holders
        for name in self._said:
            self._count(name, 1)

    def _count(self, name: str, by: int) -> None:
        """Count what ``name`` says (1), or no longer (-1): it is about to change."""
        said = self._holding(name)
        if said is None:
            return
        self._holders += by
        if said.follows != self._me:
            return
        self.followers += by
        for target in said.suspects:
            self._votes[target] += by
            if self._votes[target] + 1 >= self.view.majority:
                self.ripe.add(target)
            else:
                self.ripe.discard(target)

    def _counted(self, name: str) -> None:
        self.changes += 1
        self._note_heard(name)

    def _note_heard(self, name: str) -> None:
        for target, (after_ns, names) in self._since.items():
            late = self._heard_ns.get(name, self._settled_ns) > after_ns
            if late and name != target.name and self.follows(name):
                names.add(name)
            else:
                names.discard(name)
