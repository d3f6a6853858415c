"""From packets that came or did not, while a level was held and after it, to a card's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from crunchbed.calibrate.constant import Constant, kind, number
from crunchbed.calibrate.sizes import LONG
from reserve_agent.model.profiles.card import Asks, Refill

_ON: Final = 0.9
"""Share of the packets of a window that are received where a card goes on."""
_RING: Final = 0.75
"""Share of its ring that a card has at least used up when it ends for want of empty slots."""


class Flagged(Enum):
    """Who has SO_MEMALLOC."""

    READER = auto()
    NOBODY = auto()
    OTHER = auto()
    """Another socket than the reader's: the reserve is open, and the reader may not have it."""


@dataclass(frozen=True)
class Trial:
    """One window at a level between the floors of GFP_ATOMIC and of memalloc, and what followed.

    Attributes:
        flagged: Who was flagged.
        frame_bytes: Bytes of each frame.
        slots: Of the card's ring.
        due: Frames that were to be sent in the window.
        inside: Frames that the card took in the window, with the numbers 0 to ``inside`` - 1.
        after: Frames that it took after it, with the numbers from ``inside`` on.
        begun_ns: Begin of the window, and
        ended_ns: its end, by the guest's clock, as all times are.
        arrivals: When the reader had a frame, by its number.
        drops: Frames from the reserve that were dropped in the window since their reader was not
            flagged.
    """

    flagged: Flagged
    frame_bytes: int
    slots: int
    due: int
    inside: int
    after: int
    begun_ns: int
    ended_ns: int
    arrivals: Mapping[int, int]
    drops: int

    @property
    def reached(self) -> int:
        """Frames of the window that came to the reader's socket in it, or were dropped there."""
        return self.heard + self.drops

    @property
    def heard(self) -> int:
        """Frames of the window that the reader had in it."""
        return sum(
            number < self.inside and self.begun_ns <= at <= self.ended_ns
            for number, at in self.arrivals.items()
        )

    @property
    def took_all(self) -> bool:
        """Whether the card had a slot for every frame of the window."""
        return self.inside >= self.due

    @property
    def lag(self) -> int:
        """Frames after the window up to the last one that was dropped."""
        sent = range(self.inside, self.inside + self.after)
        return max((n - self.inside + 1 for n in sent if n not in self.arrivals), default=0)


def goes_on(trial: Trial) -> bool:
    """Return whether the card received to the end of the window."""
    return trial.reached >= trial.due * _ON


def asks(reader: Trial, nobody: Trial) -> Asks | None:
    """Return when a driver asks for the ring's buffers with __GFP_MEMALLOC; None: it is not told.

    Args:
        reader: Frames that are not copied, for a reader that is flagged.
        nobody: The same, where nobody is.
    """
    on, on_unflagged = goes_on(reader), goes_on(nobody)
    if on and on_unflagged:  # or it needs no memory, where nothing was from the reserve
        return Asks.ALWAYS if nobody.drops > nobody.due // 4 else None
    if on:
        return Asks.FLAGGED
    return None if on_unflagged else Asks.NEVER


def refill(nobody: Trial) -> Refill | None:
    """Return what a failed refill does; None: none failed, or the driver always asks.

    A driver that drops the packet leaves its ring full: the card takes every frame. One whose slots
    stay empty receives until none is left, and one that is deaf at its first failure ends before.
    """
    if goes_on(nobody):
        return None if nobody.drops else Refill.RECYCLED
    if nobody.took_all:
        return Refill.EACH
    return Refill.BATCH if nobody.reached >= nobody.slots * _RING else Refill.OR_DEAF


class Hearing(Enum):
    """What becomes of short frames for a flagged reader, such as heartbeats."""

    HEARD = auto()
    DEAF = auto()


def of_card(trials: Sequence[Trial]) -> list[Constant]:
    """Return what the trials say of a card; the first trials of two kinds are a pair, and so on."""
    long = [trial for trial in trials if trial.frame_bytes >= LONG]
    reader, nobody, other = (
        [trial for trial in long if trial.flagged is flagged]
        for flagged in (Flagged.READER, Flagged.NOBODY, Flagged.OTHER)
    )
    found = []
    told = [who for pair in zip(reader, nobody, strict=False) if (who := asks(*pair)) is not None]
    if told:
        found.append(kind("card.asks", told, "long frames received at the level, flagged or not"))
    refills = [one for trial in nobody if (one := refill(trial)) is not None]
    if refills:
        found.append(kind("card.refill", refills, "frames taken at the level without flags"))
    short = [one for one in trials if one.flagged is Flagged.READER and one not in reader]
    if short:
        hears = [Hearing.HEARD if goes_on(trial) else Hearing.DEAF for trial in short]
        found.append(kind("flagged_short", hears, "short frames at the level, flagged"))
    if other:
        lags = [trial.lag for trial in other]
        slack = 16 + max(trial.slots for trial in other) // 16
        found.append(number("late_drops", lags, slack, "long frames dropped after the window"))
    return found
