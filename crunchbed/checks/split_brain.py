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
    found = []
    for one, other in combinations(sorted(held), 2):
        if set(one) & set(other):
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
    for node in {view.node for view in history.of(ViewInstalled)}:
        views = history.of(ViewInstalled, node)
        for index, view in enumerate(views):
            following = views[index + 1].t if index + 1 < len(views) else end
            until = min([following, *(down for down in downs[node] if down >= view.t)])
            members = tuple(view.members)
            if view.quorate and node in members and until > view.t:
                found[members].append(Interval(view.t, until))
    return found


def _merged(intervals: list[Interval]) -> list[Interval]:
    """Return the same times as sorted, disjoint intervals."""
    merged: list[Interval] = []
    for each in sorted(intervals):
        if merged and each.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return merged
