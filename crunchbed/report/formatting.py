"""Figures and their spreads as text."""

from __future__ import annotations

from crunchbed.experiments.comparison import Spread
from crunchbed.experiments.stats.interval import Estimate


def figure(value: float | None) -> str:
    """Return a figure; ``-`` where nothing was measured."""
    if value is None:
        return "-"
    if isinstance(value, int) or value.is_integer():
        return f"{value:.0f}"
    return f"{value:.6f}" if value < 0.001 else f"{value:.4f}" if value < 1 else f"{value:.2f}"


def spread(found: Spread | None) -> str:
    """Return a median with its range; one figure where all are equal."""
    if found is None:
        return figure(None)
    if found.low == found.high:
        return figure(found.median)
    return f"{figure(found.median)} [{figure(found.low)}..{figure(found.high)}]"


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return f"{'-' if value < 0 else '+'}{figure(abs(value))}"


def interval(found: Estimate) -> str:
    """Return a difference with its interval, where it has one."""
    if found.low is None or found.high is None:
        return signed(found.value)
    return f"{signed(found.value)} [{signed(found.low)}..{signed(found.high)}]"
