"""Split brain: two groups of members that could both decide at one time, with nobody in both."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

from crunchbed.checks.lives import overlap, target_of
from crunchbed.history.history import History, Interval
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.faults import NodeDown
from reserve_agent.contract.events.membership import ViewInstalled

_Members = tuple[str, ...]


def split_brains(history: History) -> list[str]:
    """Return one line for each two groups that were quorate at once without a common member.

    A node holds a view until its next view or until the node is down. A view that lacks its
    holder says that the holder is no member, and makes no group.
    """
    held = _held(history)
    sets = {group: frozenset(group) for group in held}
    found = []
    for one, other in combinations(sorted(held), 2):
        if not sets[one].isdisjoint(sets[other]):
            continue
        both = overlap(_merged(held[one]), _merged(held[other]))
        if both:
            at = seconds(both[0].start - history.span.start)
            length = seconds(sum(each.length for each in both))
            groups = f"{', '.join(one)} and {', '.join(other)}"
            found.append(
                f"split brain: {groups} were quorate at once for {length:.3f} s (at {at:.3f} s)"
            )
    return found


def _held(history: History) -> dict[_Members, list[Interval]]:
    """Return when each group of members was the quorate view of one of its members."""
    found: defaultdict[_Members, list[Interval]] = defaultdict(list)
    downs: defaultdict[str, list[int]] = defaultdict(list)
    for event in history.of(NodeDown):
        downs[target_of(event)].append(event.t)
    end = history.measured.end
    everybody = tuple(dict.fromkeys(view.node for view in history.of(ViewInstalled)))
    counted = _Counted(everybody)
    for node in everybody:
        views = history.of(ViewInstalled, node)
        for index, view in enumerate(views):
            members = counted.members(view)
            following = views[index + 1].t if index + 1 < len(views) else end
            until = min([following, *(down for down in downs[node] if down >= view.t)])
            if view.quorate and until > view.t and node in members:
                found[members].append(Interval(view.t, until))
    return found


class _Counted:
    """The names in views of which most may say only how many they are.

    Such a view says what it has changed: in the first view all are members, and whoever boots again
    adds all members at once. All views that lack the same nodes are one tuple.
    """

    def __init__(self, everybody: _Members) -> None:
        self._everybody = everybody
        self._lacks: dict[str, frozenset[str]] = {}
        self._known: dict[frozenset[str], _Members] = {}

    def members(self, view: ViewInstalled) -> _Members:
        """Return the members of a view, which is the next one of its node."""
        if not isinstance(view.members, int):
            return tuple(view.members)
        lacks = self._lacks.get(view.node, frozenset())
        if view.size == len(view.added):
            lacks = frozenset(self._everybody)
        lacks = self._lacks[view.node] = (lacks | set(view.removed)) - set(view.added)
        if lacks not in self._known:
            self._known[lacks] = tuple(name for name in self._everybody if name not in lacks)
        return self._known[lacks]


def _merged(intervals: list[Interval]) -> list[Interval]:
    """Return the same times as sorted, disjoint intervals."""
    merged: list[Interval] = []
    for each in sorted(intervals):
        if merged and each.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return merged
