"""Whether a history holds all that happened, and contradicts itself nowhere.

A history of format 1 cannot prove that it is whole, and is believed. One of format 2 is not judged
where anything here gives a reason. ``audit`` looks at every event, which takes longer than to judge
them; so a run does that once, and ``run.json`` keeps the answer beside the history's digest.
"""

from __future__ import annotations

from typing import Final

from crunchbed.checks import consistency, fields, parts, periodic
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario

_MOST: Final = 12
"""Reasons that are told; a history that was cut in the middle could have hundreds."""


def damage(history: History, scenario: Scenario) -> list[str]:
    """Return why a history is not whole, or not consistent; empty where it is both."""
    found = list(history.damage)
    if history.numbered:
        audited = history.audited
        found += audit(history, scenario) if audited is None else audited
        if not found:  # else fields may not be what their kinds say
            found += consistency.contradictions(history, scenario)
    more = len(found) - _MOST
    return found if more <= 0 else [*found[:_MOST], f"and {more} more reasons of this sort"]


def audit(history: History, scenario: Scenario) -> list[str]:
    """Return what is wrong with single events of a numbered history, and which are missing."""
    return fields.wrong(history) or [
        *parts.damage(history, scenario),
        *consistency.wrong_times(history),
        *periodic.contradictions(history, scenario),
    ]
