"""Split brain: two groups of members that both decided, at one time, without a common member."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

from crunchbed.checks.lives import overlap
from crunchbed.history.history import History, Interval
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events import Event

_Members = tuple[str, ...]


def is_quorate(view: Event) -> bool:
    """Return whether a ``membership.view`` may decide anything; one that does not say so may."""
    return bool(view.data.get("quorate", True))


def split_brains(history: History) -> list[str]:
    """Return one line for each two groups that were quorate at once without a common member.

    A member holds a view until its next one or until it is down. A view without its holder says
    that the holder is out, and makes it no member of anything.
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
    """When each group of members was somebody's quorate view."""
    found: defaultdict[_Members, list[Interval]] = defaultdict(list)
    downs: defaultdict[str, list[int]] = defaultdict(list)
    for event in history.of("node.down"):
        downs[str(event.data.get("target", event.node))].append(event.t)
    end = history.measured.end
    for node in {view.node for view in history.of("membership.view")}:
        views = history.of("membership.view", node)
        for index, view in enumerate(views):
            following = views[index + 1].t if index + 1 < len(views) else end
            until = min([following, *(down for down in downs[node] if down >= view.t)])
            members = tuple(view.data.get("members", ()))
            if is_quorate(view) and node in members and until > view.t:
                found[members].append(Interval(view.t, until))
    return found


def _merged(intervals: list[Interval]) -> list[Interval]:
    """The same times as sorted, disjoint intervals."""
    merged: list[Interval] = []
    for each in sorted(intervals):
        if merged and each.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return merged
