"""Whether the crunch that was asked for is the one that happened."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crunchbed.checks.guest_windows import as_held, off_level
from crunchbed.checks.lives import lives, overlap, target_of
from crunchbed.checks.pressure import episodes
from crunchbed.history.history import History, Interval
from crunchbed.scenario.crunch import FloodCrunch, WritebackCrunch
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.faults import CrunchBegan
from reserve_agent.contract.events.guests import GuestReady
from reserve_agent.contract.events.writes import DirtyProgress

OFF_TARGET = "crunch off target"
"""The first words of the reason of a run that is invalid for its crunch."""

REACHED = 0.99
"""A timed crunch must bring about this share of the requested time under pressure."""

STEP_NS = 10_000_000
"""Normal tasks ask for pages in steps of some milliseconds, however high their rate."""

GUEST_ONSET_NS = 500_000_000
"""A machine's tasks want all pages at once, and its one processor has to find them first."""


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


def check(history: History, scenario: Scenario) -> CrunchCheck:
    """Compare the scenario's crunch with the pressure on its target.

    The time of the ``crunch.begin`` is the moment from which tasks want pages.
    """
    crunch = scenario.crunch
    if crunch is None:
        return CrunchCheck()
    begins = history.of(CrunchBegan)
    if not begins:
        return CrunchCheck(off_target=["the crunch was never begun"])
    begin = begins[0]
    target = target_of(begin)
    requested = {"kind": crunch.kind, "target": target, **begin.requested}
    if crunch.kind == "writeback":
        return _writeback(history, crunch, target, begin.t, requested)
    if crunch.kind == "flood":
        return _flood(history, crunch, target, begin.t, requested)
    windows = [Interval(start, end) for start, end in begin.windows]
    if len(windows) != crunch.count:
        reason = f"the history has {len(windows)} of the crunch's {crunch.count} windows"
        return CrunchCheck(requested, off_target=[reason])
    found = _timed(history, as_held(history, target, windows), target, begin.t, requested)
    if (off := off_level(history, target)) is not None:
        found.off_target.append(f"{OFF_TARGET}: {off}")
    return found


def _writeback(
    history: History,
    crunch: WritebackCrunch,
    target: str,
    start: int,
    requested: Mapping[str, Any],
) -> CrunchCheck:
    found = [episode for episode in episodes(history, target) if episode.end > start]
    onset = max(found[0].start - start, 0) if found else None
    limit = 2 * crunch.pages * 1_000_000_000 // crunch.rate + STEP_NS
    if history.of(GuestReady, target):
        limit = GUEST_ONSET_NS
    dirtied = [event.dirtied for event in history.of(DirtyProgress, target)]
    achieved = {
        "pages": max(dirtied, default=0),
        "pressure_after_seconds": None if onset is None else seconds(onset),
        "pressure_episodes": len(found),
        "pressure_seconds": seconds(sum(episode.length for episode in found)),
    }
    reasons = []
    if onset is None:
        reasons = [f"{OFF_TARGET}: {target} never came under memory pressure"]
    elif onset > limit:
        reasons = [
            f"{OFF_TARGET}: {target} came under memory pressure after "
            f"{seconds(onset):.3f} s, not within {seconds(limit):.3f} s"
        ]
    return CrunchCheck(requested, achieved, reasons)


def _flood(
    history: History, crunch: FloodCrunch, target: str, start: int, requested: Mapping[str, Any]
) -> CrunchCheck:
    end = start + crunch.duration
    found = [one for one in episodes(history, target) if start < one.end and one.start < end]
    achieved = {
        "pressure_after_seconds": seconds(max(found[0].start - start, 0)) if found else None,
        "pressure_episodes": len(found),
        "pressure_seconds": seconds(sum(episode.length for episode in found)),
    }
    reasons = [] if found else [f"{OFF_TARGET}: {target} never came under memory pressure"]
    return CrunchCheck(requested, achieved, reasons)


def _timed(
    history: History,
    windows: list[Interval],
    target: str,
    start: int,
    requested: Mapping[str, Any],
) -> CrunchCheck:
    # A crunch ends when its node goes down: the node has free memory after the reboot.
    life = next((one for one in lives(history, target) if start in one), None)
    due = overlap(windows, [life]) if life is not None else []
    pressed = overlap(due, episodes(history, target))
    starts = [window.start for window in due]
    reached = len({bisect_right(starts, one.start) for one in pressed})
    asked = sum(window.length for window in due)
    got = sum(one.length for one in pressed)
    requested = {
        **requested,
        "pressure_episodes": len(windows),
        "pressure_seconds": seconds(sum(window.length for window in windows)),
    }
    achieved = {
        "windows_while_up": len(due),
        "seconds_while_up": seconds(asked),
        "pressure_episodes": reached,
        "pressure_seconds": seconds(got),
    }
    reasons = []
    if not due:
        reasons = [f"{OFF_TARGET}: {target} was down in every window"]
    elif reached < len(due):
        reasons = [f"{OFF_TARGET}: pressure in {reached} of {len(due)} windows on {target}"]
    elif got < REACHED * asked:
        reasons = [
            f"{OFF_TARGET}: {seconds(got):.6f} s of pressure in windows of "
            f"{seconds(asked):.6f} s on {target}"
        ]
    return CrunchCheck(requested, achieved, reasons)
