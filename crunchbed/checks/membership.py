"""Ejections: who was removed and fenced, and who of them was alive."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from crunchbed.checks.faults import cut_off_since, fault_spans
from crunchbed.checks.lives import target_of
from crunchbed.checks.split_brain import is_quorate
from crunchbed.history.history import History
from reserve_agent.contract.events import Event


class Ejection(NamedTuple):
    """One removal of one node; ``t`` is when it was fenced, or removed where no fence began."""

    node: str
    t: int
    false: bool
    """The node was alive and in reach: neither down before its fence nor cut off by a fault."""
    since: int | None = None
    """When it went down or was cut off, where that is why it was ejected."""


def ejections(history: History) -> list[Ejection]:
    """Return every ejection once, however many observers report it, in the order of time.

    An ejection begins with a confirmed fence or with the first view that lacks the node, and is
    over when a view holds it again. A view that removes and adds a node at once replaces one boot
    of it by the next: no ejection. A view without quorum decides nothing and ejects nobody.
    """
    views = [view for view in history.of("membership.view") if is_quorate(view)]
    events = sorted([*history.of("fence.confirmed"), *views], key=lambda e: e.t)
    out: set[str] = set()
    seen: set[tuple[int, str]] = set()
    found: list[Ejection] = []
    for event in events:
        removed, added = _change(event)
        number = event.data.get("number", -1)
        fresh = [n for n in removed if n not in out and (number, n) not in seen]
        found += [_ejection(history, node, event.t) for node in fresh]
        out.update(removed)
        out.difference_update(added)
        if event.kind == "membership.view":
            seen.update((number, node) for node in removed)
    return found


def _change(event: Event) -> tuple[list[str], set[str]]:
    if event.kind == "fence.confirmed":
        return [target_of(event)], set()
    added = set(event.data.get("added", ()))
    return [node for node in event.data.get("removed", ()) if node not in added], added


def _ejection(history: History, node: str, noticed: int) -> Ejection:
    fence = _last_of(history, "fence.start", node, noticed + 1)
    up = _last_of(history, "node.up", node, noticed + 1)
    if fence is None or (up is not None and up > fence):
        fence = noticed
    down = _last_of(history, "node.down", node, fence)
    came_back = _last_of(history, "node.up", node, fence)
    if down is not None and (came_back is None or came_back < down):
        return Ejection(node, fence, false=False, since=down)
    on = [one for one in fault_spans(history) if fence in one.span]
    cut = cut_off_since(on, node, _fenced_by(history, node, fence))
    return Ejection(node, fence, false=cut is None, since=cut)


def detection_delays(found: Sequence[Ejection]) -> list[int]:
    """Return the nanoseconds from what took each node down or cut it off to its fence.

    False ejections detected nothing and have none.
    """
    return [one.t - one.since for one in found if one.since is not None]


def median_seconds(nanoseconds: Sequence[int]) -> float | None:
    """Return the median; None without a value."""
    return statistics.median(nanoseconds) / 1e9 if nanoseconds else None


def _fenced_by(history: History, node: str, fence: int) -> str:
    starts = history.of("fence.start")
    by = (e.data.get("by") for e in starts if e.t == fence and target_of(e) == node)
    return str(next(by, None))


def _last_of(history: History, kind: str, node: str, before: int) -> int | None:
    times = [e.t for e in history.of(kind) if target_of(e) == node and e.t < before]
    return max(times, default=None)
