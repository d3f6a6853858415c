"""Whether a history holds all that happened, and contradicts itself nowhere.

A history of format 1 cannot prove that it is whole, and is believed. One of format 2 is not judged
where anything here gives a reason.
"""

from __future__ import annotations

from crunchbed.checks import consistency, fields, parts, periodic
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario

_MOST: int = 12
"""Reasons that are told; a history that was cut in the middle could have hundreds."""


def damage(history: History, scenario: Scenario) -> list[str]:
    """Return why a history is not whole, or not consistent; empty where it is both."""
    if not history.numbered:
        return list(history.damage)
    # Whatever else is asked takes fields for what their kinds say.
    found = [*history.damage, *fields.wrong(history)]
    if not found or found == list(history.damage):
        found += parts.damage(history, scenario)
        found += consistency.contradictions(history, scenario)
        found += periodic.contradictions(history, scenario)
    more = len(found) - _MOST
    return found if more <= 0 else [*found[:_MOST], f"and {more} more reasons of this sort"]
