"""Measured constants beside a profile: contradictions, and the record of a profile file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crunchbed.calibrate.constant import Constant, name_of, number_of
from crunchbed.calibrate.packets import Hearing
from crunchbed.calibrate.sizes import SHORT
from reserve_agent.model.profiles import KERNELS
from reserve_agent.model.profiles.card import Asks, Refill
from reserve_agent.model.profiles.kernel import Kernel, Ratio
from reserve_agent.model.profiles.record import FORMAT, Profile, constants, written

SHIPPED: Final = "shipped"
_BASES: Final = ((6, 12, "linux-6.12"), (6, 1, "linux-6.1"))


@dataclass(frozen=True)
class Compared:
    """One constant beside what a profile says.

    Attributes:
        constant: As measured.
        expected: What the profile has, or what follows from it.
    """

    constant: Constant
    expected: object

    @property
    def contradicts(self) -> bool:
        """Whether the profile is wrong about this kernel and card."""
        return self.constant.excludes(self.expected)

    @property
    def line(self) -> str:
        """What is contradicted, in one line."""
        one, expected = self.constant, shown(self.expected)
        seen = ", ".join(map(figure, one.seen))
        return f"{one.key}: the profile has {expected}, measured {shown(one.value)} ({seen})"


def shipped_for(release: str) -> Kernel:
    """Return the shipped profile of the newest kernel that is not newer than ``release``."""
    numbers = [int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit()]
    for major, minor, name in _BASES:
        if numbers >= [major, minor]:
            return KERNELS[name]
    return KERNELS[_BASES[-1][2]]


def compared(measured: Iterable[Constant], profile: Profile) -> list[Compared]:
    """Hold every measured constant against a profile."""
    said = constants(profile) | implied(profile)
    return [Compared(one, said[one.key]) for one in measured]


def contradictions(measured: Iterable[Constant], profile: Profile) -> list[str]:
    """Return a line for each constant that a profile has wrong."""
    return [one.line for one in compared(measured, profile) if one.contradicts]


def implied(profile: Profile) -> dict[str, object]:
    """Return what follows from a profile and is measured by itself.

    ``late_drops``: frames that come in buffers from the reserve after a window in which the whole
    ring was filled anew. ``flagged_short``: whether a flagged reader hears short frames below the
    floor of GFP_ATOMIC.
    """
    card = profile.card
    filled = card.asks is not Asks.NEVER and card.refill in (Refill.EACH, Refill.BATCH)
    hears = card.asks is not Asks.NEVER or (card.copies >= SHORT and not card.needs_small)
    return {
        "late_drops": card.ring if filled else 0,
        "flagged_short": Hearing.HEARD if hears else Hearing.DEAF,
    }


def profile_record(
    measured: Sequence[Constant], base: Profile, kernel: Mapping[str, str], where: str
) -> dict[str, Any]:
    """Return the content of a profile file.

    Args:
        measured: What was measured.
        base: What the file has where nothing was measured.
        kernel: ``name``, ``version`` and ``release`` of the kernel.
        where: The source of what was measured: "measured on 6.1.0-56-amd64 e1000, 2026-11-29".
    """
    by_key = {one.key: one for one in measured}
    parts: dict[str, dict[str, Any]] = {"kernel": {}, "card": {}}
    for key, value in constants(base).items():
        part, _, name = key.partition(".")
        parts[part][name] = (
            _measured(by_key[key], where)
            if key in by_key
            else {"value": written(value), "source": SHIPPED}
        )
    also = {key: _measured(one, where) for key, one in by_key.items() if "." not in key}
    return {
        "format": FORMAT,
        "kernel": {**kernel, "base": base.kernel.name, "constants": parts["kernel"]},
        "card": {"name": base.card.name, "constants": parts["card"]},
        "also_measured": also,
    }


def _measured(one: Constant, where: str) -> dict[str, Any]:
    record: dict[str, Any] = {"value": written(one.value), "source": f"{where}: {one.note}"}
    seen = [round(each, 4) if isinstance(each, float) else each for each in one.seen]
    record["repeats"] = len(seen)
    if one.least is None:
        record["seen"] = seen
    else:
        record["spread"] = [min(seen), max(seen)]
    return record


def shown(value: object) -> str:
    """Return a value of a profile as people read it."""
    if isinstance(value, Ratio):
        return f"{value.numerator}/{value.denominator}" if value.numerator else "0"
    number = number_of(value)
    return name_of(value) if number is None else figure(number)


def figure(value: float | str) -> str:
    """Return a figure of a repeat with at most three places."""
    if isinstance(value, str):
        return value
    return f"{round(value, 3):g}" if value % 1 else f"{value:.0f}"
