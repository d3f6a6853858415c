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
"""Two times, or two numbers of misses, agree where neither is more than so many times the other."""
SHORT_INTERVALS: Final = 2.0
"""Silences of at most so many heartbeat intervals are alike: one packet is late by chance."""
SHORT_STALL_SECONDS: Final = 0.2
"""Stalls of at most this are alike: a disk does that without a crunch."""
CAUSE_SHARE: Final = 0.15
"""The share that a cause has of all misses may differ by this."""
FEW_MISSES: Final = 3
"""So many misses are alike, and so many with another cause."""

State = Literal["agree", "disagree", "unknown"]
Figure = Literal["verdict", "ejected", "misses", "causes", "silence", "stall"]
OUTCOME: Final[frozenset[Figure]] = frozenset({"verdict", "ejected"})
"""What must be equal; everything else may differ by what is allowed."""
WORDS: Final[dict[Figure, str]] = {
    "verdict": "verdict",
    "ejected": "ejected",
    "misses": "missed",
    "causes": "causes",
    "silence": "longest silence",
    "stall": "longest stall",
}


class Observed(BaseModel, frozen=True):
    """What one run of a cell came to.

    Attributes:
        backend: What its nodes were made of, and by which model where that is not its own.
        verdict: The run's, and
        reasons: why the verdict is not ``pass``.
        ejected: Nodes that were ejected, by name, each once for each time.
        misses: Missed heartbeats by cause, without the causes of none.
        silence_seconds: Longest time for which an observer missed one peer.
        stall_seconds: Longest time without an acknowledged write; None: nothing was to be written.
        pressure_seconds: How long its nodes were under memory pressure, all together.
    """

    backend: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    ejected: tuple[str, ...] = ()
    misses: dict[str, int] = {}
    silence_seconds: float = 0.0
    stall_seconds: float | None = None
    pressure_seconds: float | None = None

    @property
    def missed(self) -> int:
        """Missed heartbeats of all causes."""
        return sum(self.misses.values())

    @property
    def valid(self) -> bool:
        """Whether its figures say anything."""
        return self.verdict in ("pass", "fail")


class Difference(BaseModel, frozen=True):
    """What two runs of a cell differ in by more than is allowed, with both figures."""

    figure: Figure
    first: str
    other: str


class Pair(BaseModel, frozen=True):
    """Two runs of a cell, the second held against the first."""

    first: Observed
    other: Observed
    differences: tuple[Difference, ...]

    @property
    def state(self) -> State:
        """``unknown`` where one of the two is not valid."""
        if not (self.first.valid and self.other.valid):
            return "unknown"
        return "disagree" if self.differences else "agree"

    @property
    def lines(self) -> tuple[str, ...]:
        """Its differences, a line each."""
        return tuple(
            f"{WORDS[one.figure]}: {self.first.backend} {one.first}, "
            f"{self.other.backend} {one.other}"
            for one in self.differences
        )


class Cell(BaseModel, frozen=True):
    """One scenario, policy, flag setting, card and seed on every backend.

    Attributes:
        scenario, policy, flags, nic, seed: What was run; no card where memory knows none.
        judged: Whether the scenario expects something of this policy and flag setting. Otherwise a
            ``pass`` says that the run is valid, that no acknowledged write was lost and that no
            block had two writers, and nothing of the claim.
        runs: One for each backend that could run it.
        refused: Why a backend could not, by its name.
        interval_seconds: Between two heartbeats of a node.
    """

    scenario: str
    policy: str
    flags: tuple[str, ...]
    nic: str | None
    seed: int
    judged: bool = True
    runs: tuple[Observed, ...]
    refused: dict[str, str] = {}
    interval_seconds: float

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every other run beside the first."""
        return tuple(
            Pair(first=self.runs[0], other=other, differences=tuple(differ(self, other)))
            for other in self.runs[1:]
        )

    @property
    def differences(self) -> tuple[str, ...]:
        """What two of its runs differ in by more than is allowed, a line each."""
        return tuple(line for pair in self.pairs for line in pair.lines)

    @property
    def state(self) -> State:
        """``unknown`` where fewer than two backends gave a valid run."""
        states = {pair.state for pair in self.pairs}
        if "disagree" in states:
            return "disagree"
        return "agree" if states == {"agree"} else "unknown"


def observed(backend: str, history: History, scenario: Scenario, result: Result) -> Observed:
    """Return what a run came to."""
    totals = result.totals
    misses = totals.misses_by_cause
    return Observed(
        backend=backend,
        verdict=result.verdict,
        reasons=result.reasons,
        ejected=tuple(sorted(one.node for one in ejections(history))),
        misses={cause: misses[cause] for cause in CAUSES if misses.get(cause)},
        silence_seconds=longest_silence_seconds(history, scenario.heartbeat.interval),
        stall_seconds=totals.io_longest_stall_seconds,
        pressure_seconds=totals.pressure_seconds,
    )


def differ(cell: Cell, other: Observed) -> Iterator[Difference]:
    """Yield what a run of a cell and its first one differ in by more than is allowed."""
    one = cell.runs[0]
    if one.verdict != other.verdict:
        yield _difference("verdict", one.verdict, other.verdict)
    if one.ejected != other.ejected:
        yield _difference("ejected", _listed(one.ejected), _listed(other.ejected))
    if not alike(one.missed, other.missed, FEW_MISSES):
        yield _difference("misses", str(one.missed), str(other.missed))
    if causes := list(_other_causes(one.misses, other.misses)):
        yield _difference("causes", *(_counts(run.misses, causes) for run in (one, other)))
    short = SHORT_INTERVALS * cell.interval_seconds
    if not alike(one.silence_seconds, other.silence_seconds, short):
        yield _difference("silence", *(f"{run.silence_seconds:.2f} s" for run in (one, other)))
    stalls = (one.stall_seconds or 0.0, other.stall_seconds or 0.0)
    if not alike(*stalls, SHORT_STALL_SECONDS):
        yield _difference("stall", *(f"{stall:.2f} s" for stall in stalls))


def _difference(figure: Figure, first: str, other: str) -> Difference:
    return Difference(figure=figure, first=first, other=other)


def _counts(misses: dict[str, int], causes: Sequence[str]) -> str:
    return ", ".join(f"{cause} {misses.get(cause, 0)}" for cause in causes)


def _other_causes(one: dict[str, int], other: dict[str, int]) -> Iterator[str]:
    """Yield the causes that have another share of the misses here than there."""
    here, there = sum(one.values()), sum(other.values())
    if not (here and there):
        return
    for cause in CAUSES:
        apart = abs(one.get(cause, 0) / here - other.get(cause, 0) / there)
        if apart > CAUSE_SHARE and apart * min(here, there) > FEW_MISSES:
            yield cause


def alike(one: float, other: float, short: float) -> bool:
    """Return whether two figures agree; those of at most ``short`` are alike."""
    low, high = sorted((max(one, short), max(other, short)))
    return high <= FACTOR * low


def _listed(nodes: Sequence[str]) -> str:
    return ", ".join(nodes) or "nobody"
