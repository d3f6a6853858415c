"""Whether two backends say the same of a scenario under a policy, flags, card and seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from pydantic import BaseModel

from crunchbed.checks.figures import CAUSES
from crunchbed.checks.membership import ejections
from crunchbed.checks.result import Result, Verdict
from crunchbed.checks.silence import longest_silence_seconds
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario

FACTOR: Final = 2.0
"""Two times agree where neither is longer than the other by more than this factor."""
SHORT_INTERVALS: Final = 2.0
"""Silences of at most so many heartbeat intervals are alike: one packet is late by chance."""
SHORT_STALL_SECONDS: Final = 0.2
"""Stalls of at most this are alike: a disk does that without a crunch."""
CAUSE_SHARE: Final = 0.15
"""A cause may differ by this share of all misses, or by ``FEW_MISSES``."""
FEW_MISSES: Final = 3

State = Literal["agree", "disagree", "unknown"]


class Observed(BaseModel, frozen=True):
    """What one run of a cell came to.

    Attributes:
        backend: What its nodes were made of.
        verdict: The run's, and
        reasons: why the verdict is not ``pass``.
        ejected: Nodes that were ejected, by name, each once for each time.
        misses: Missed heartbeats by cause, without the causes of none.
        silence_seconds: Longest time for which an observer missed one peer.
        stall_seconds: Longest time without an acknowledged write; None: nothing was to be written.
    """

    backend: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    ejected: tuple[str, ...] = ()
    misses: dict[str, int] = {}
    silence_seconds: float = 0.0
    stall_seconds: float | None = None


class Cell(BaseModel, frozen=True):
    """One scenario, policy, flag setting, card and seed on every backend.

    Attributes:
        scenario, policy, flags, nic, seed: What was run.
        runs: One for each backend that could run it.
        refused: Why a backend could not, by its name.
    """

    scenario: str
    policy: str
    flags: tuple[str, ...]
    nic: str
    seed: int
    runs: tuple[Observed, ...]
    refused: dict[str, str] = {}
    interval_seconds: float

    @property
    def differences(self) -> tuple[str, ...]:
        """What two of its runs differ in by more than is allowed, a line each."""
        first, *others = self.runs
        return tuple(line for other in others for line in differ(first, other, self))

    @property
    def state(self) -> State:
        """``unknown`` where fewer than two backends gave a valid run."""
        valid = [one for one in self.runs if one.verdict in ("pass", "fail")]
        if len(self.runs) < 2 or len(valid) < len(self.runs):
            return "unknown"
        return "disagree" if self.differences else "agree"


def observed(backend: str, history: History, scenario: Scenario, result: Result) -> Observed:
    """Return what a run came to."""
    misses = result.totals.misses_by_cause
    return Observed(
        backend=backend,
        verdict=result.verdict,
        reasons=result.reasons,
        ejected=tuple(sorted(one.node for one in ejections(history))),
        misses={cause: misses[cause] for cause in CAUSES if misses.get(cause)},
        silence_seconds=longest_silence_seconds(history, scenario.heartbeat.interval),
        stall_seconds=result.totals.io_longest_stall_seconds,
    )


def differ(one: Observed, other: Observed, cell: Cell) -> Iterator[str]:
    """Yield what two runs of a cell differ in by more than is allowed, with both figures."""

    def told(what: str, mine: object, its: object) -> str:
        return f"{what}: {one.backend} {mine}, {other.backend} {its}"

    if one.verdict != other.verdict:
        yield told("verdict", one.verdict, other.verdict)
    if one.ejected != other.ejected:
        yield told("ejected", _listed(one.ejected), _listed(other.ejected))
    short = SHORT_INTERVALS * cell.interval_seconds
    if not alike(one.silence_seconds, other.silence_seconds, short):
        mine, its = (f"{run.silence_seconds:.2f} s" for run in (one, other))
        yield told("longest silence", mine, its)
    stalls = (one.stall_seconds or 0.0, other.stall_seconds or 0.0)
    if not alike(*stalls, SHORT_STALL_SECONDS):
        yield told("longest stall", *(f"{stall:.2f} s" for stall in stalls))
    most = max(sum(run.misses.values()) for run in (one, other))
    for cause in CAUSES:
        counts = (one.misses.get(cause, 0), other.misses.get(cause, 0))
        if abs(counts[0] - counts[1]) > max(FEW_MISSES, CAUSE_SHARE * most):
            yield told(f"misses by {cause}", *counts)


def alike(one: float, other: float, short: float) -> bool:
    """Return whether two times agree; those of at most ``short`` are alike, in seconds."""
    low, high = sorted((max(one, short), max(other, short)))
    return high <= FACTOR * low


def share_of_agreement(cells: Sequence[Cell]) -> float | None:
    """Return the share of cells that agree, of those that are known; None where none is."""
    known = [cell.state for cell in cells if cell.state != "unknown"]
    return known.count("agree") / len(known) if known else None


def _listed(nodes: Sequence[str]) -> str:
    return ", ".join(nodes) or "nobody"
