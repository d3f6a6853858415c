"""Whether the crunch that was asked for is the one that happened."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crunchbed.checks.faults import fault_spans
from crunchbed.checks.guest_windows import as_held, off_level
from crunchbed.checks.lives import lives, overlap, target_of
from crunchbed.checks.pressure import episodes
from crunchbed.history.history import History, Interval
from crunchbed.scenario.crunch import AnyCrunch, FloodCrunch, WritebackCrunch, crunched
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.faults import BurstBegan, CrunchBegan
from reserve_agent.contract.events.guests import GuestReady
from reserve_agent.contract.events.writes import DirtyProgress

OFF_TARGET = "crunch off target"
"""The first words of the reason of a run that is invalid for its crunch."""

REACHED = 0.99
"""A timed crunch must bring about this share of the requested time under pressure."""

LATE_NS = 100_000_000
"""Pressure may begin so long after a burst that is over at once."""

STEP_NS = 10_000_000
"""Normal tasks ask for pages in steps of some milliseconds, however high their rate."""

GUEST_ONSET_NS = {"swap": 2_000_000_000, "buffered": 5_000_000_000}
"""A machine's tasks want all pages at once; its one processor has to find, or to write, them. That
took 0.1 to 0.6 s on 6.1 and up to 1.2 s on 6.12, of pages to swap."""


@dataclass(frozen=True, slots=True)
class CrunchCheck:
    """A crunch as requested and as achieved.

    Attributes:
        requested: What was asked for; None without a crunch.
        achieved: What came of it, by the same names.
        off_target: Why the crunch is not the one that was asked for; empty where it is.
    """

    requested: Mapping[str, Any] | None = None
    achieved: Mapping[str, Any] | None = None
    off_target: list[str] = field(default_factory=list)


_COUNTED = (
    *("windows", "pressure_episodes", "pressure_seconds", "pages"),
    *("windows_while_up", "seconds_while_up"),
)
"""What several nodes have of a crunch together."""

_Achieved = tuple[dict[str, Any], str | None]
"""What came of a crunch, and why that is not what was asked for; None where it is."""


def check(history: History, scenario: Scenario) -> CrunchCheck:
    """Compare the scenario's crunch with the pressure on its targets.

    The time of a ``crunch.begin`` is the moment from which tasks want pages.
    """
    crunch = scenario.crunch
    if crunch is None:
        return CrunchCheck()
    begins = history.of(CrunchBegan)
    if not begins:
        return CrunchCheck(off_target=["the crunch was never begun"])
    hit = scenario.writers if crunch.kind == "writeback" else scenario.node_names
    nodes = crunched(crunch, len(hit))
    if nodes == 1:
        return _check(history, crunch, begins[0])
    lived = [one for one in begins if any(one.t in life for life in lives(history, one.target))]
    return _together([_check(history, crunch, one) for one in lived], nodes)


def _together(found: Sequence[CrunchCheck], nodes: int) -> CrunchCheck:
    """Return the crunches of ``nodes`` nodes as one: what they have of each thing in all.

    One that was down when its turn came had none.
    """
    found = [one for one in found if (one.achieved or {}).get("windows_while_up") != 0]
    if not found:
        return CrunchCheck(off_target=[f"{OFF_TARGET}: every node was down"])
    requested = _added([one.requested for one in found]) | {"nodes": nodes}
    achieved = _added([one.achieved for one in found]) | {"nodes": len(found)}
    off_target = [reason for one in found for reason in one.off_target]
    return CrunchCheck(requested, achieved, off_target[:1])


def _added(each: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return what the first has, numbers of ``_COUNTED`` added up."""
    known = [one for one in each if one is not None]
    added = {key: sum(one[key] for one in known) for key in _COUNTED if known and key in known[0]}
    return {**known[0], **added} if known else {}


def _check(history: History, crunch: AnyCrunch, begin: CrunchBegan) -> CrunchCheck:
    """Compare the crunch of one node with the pressure on it."""
    target = target_of(begin)
    requested = {"kind": crunch.kind, "target": target, **begin.requested}
    if crunch.kind == "writeback":
        achieved, reason = _writeback(history, crunch, target, begin.t)
    elif crunch.kind == "flood":
        achieved, reason = _flood(history, crunch, target, begin.t)
    else:
        windows = [Interval(start, end) for start, end in begin.windows]
        if len(windows) != crunch.count:
            reason = f"the history has {len(windows)} of the crunch's {crunch.count} windows"
            return CrunchCheck(requested, off_target=[reason])
        requested["pressure_episodes"] = len(windows)
        requested["pressure_seconds"] = seconds(_length(windows))
        windows = as_held(history, target, windows)
        achieved, reason = _timed(history, windows, target, begin.t)
        reason = reason or off_level(history, target)
    off_target = [] if reason is None else [f"{OFF_TARGET}: {reason}"]
    return CrunchCheck(requested, achieved, off_target)


def idle_bursts(history: History) -> Iterator[str]:
    """Yield the faults ``burst`` whose tasks found all the pages that they wanted.

    A burst whose work never moved has not begun, and is none of these.
    """
    spans = [fault.span for fault in fault_spans(history) if fault.kind == "burst"]
    for burst in history.of(BurstBegan):
        end = max((span.end for span in spans if burst.t in span), default=burst.t)
        due = Interval(burst.t, end + LATE_NS)
        if not overlap([due], episodes(history, burst.target)):
            yield f"burst of {burst.target}: {burst.target} never came under memory pressure"


def _writeback(history: History, crunch: WritebackCrunch, target: str, start: int) -> _Achieved:
    found = [episode for episode in episodes(history, target) if episode.end > start]
    limit_ns = 2 * crunch.pages * 1_000_000_000 // crunch.rate + STEP_NS
    limit = seconds(GUEST_ONSET_NS[crunch.form] if history.of(GuestReady, target) else limit_ns)
    dirtied = [event.dirtied for event in history.of(DirtyProgress, target)]
    pressure, reason = _pressure(found, target, start)
    onset = pressure["pressure_after_seconds"]
    if onset is not None and onset > limit:
        reason = (
            f"{target} came under memory pressure after {onset:.3f} s, not within {limit:.3f} s"
        )
    return {"pages": max(dirtied, default=0), **pressure}, reason


def _flood(history: History, crunch: FloodCrunch, target: str, start: int) -> _Achieved:
    end = start + crunch.duration
    found = [one for one in episodes(history, target) if start < one.end and one.start < end]
    return _pressure(found, target, start)


def _pressure(found: Sequence[Interval], target: str, start: int) -> _Achieved:
    """Return what episodes of pressure a crunch brought about that began at ``start``."""
    achieved = {
        "pressure_after_seconds": seconds(max(found[0].start - start, 0)) if found else None,
        "pressure_episodes": len(found),
        "pressure_seconds": seconds(_length(found)),
    }
    return achieved, None if found else f"{target} never came under memory pressure"


def _timed(history: History, windows: list[Interval], target: str, start: int) -> _Achieved:
    # A crunch ends when its node goes down: the node has free memory after the reboot.
    life = next((one for one in lives(history, target) if start in one), None)
    due = overlap(windows, [life]) if life is not None else []
    pressed = overlap(due, episodes(history, target))
    starts = [window.start for window in due]
    reached = len({bisect_right(starts, one.start) for one in pressed})
    asked, got = _length(due), _length(pressed)
    achieved = {
        "windows_while_up": len(due),
        "seconds_while_up": seconds(asked),
        "pressure_episodes": reached,
        "pressure_seconds": seconds(got),
    }
    reason = None
    if not due:
        reason = f"{target} was down in every window"
    elif reached < len(due):
        reason = f"pressure in {reached} of {len(due)} windows on {target}"
    elif got < REACHED * asked:
        reason = (
            f"{seconds(got):.6f} s of pressure in windows of {seconds(asked):.6f} s on {target}"
        )
    return achieved, reason


def _length(intervals: Sequence[Interval]) -> int:
    return sum(one.length for one in intervals)
