"""Figures as cells of a table."""

from __future__ import annotations

from crunchbed.experiments.stats.interval import Estimate


def figure(value: float | None) -> str:
    """Return a figure as a cell; ``-`` where nothing was measured."""
    if value is None:
        return "-"
    if isinstance(value, int) or value.is_integer():
        return f"{value:.0f}"
    return f"{value:.6f}" if value < 0.001 else f"{value:.4f}" if value < 1 else f"{value:.2f}"


def signed(value: float) -> str:
    """Return a difference as a cell, with its sign."""
    return f"{'-' if value < 0 else '+'}{figure(abs(value))}"


def interval(found: Estimate) -> str:
    """Return a difference and its interval as a cell."""
    if found.low is None or found.high is None:
        return signed(found.value)
    return f"{signed(found.value)} [{signed(found.low)}..{signed(found.high)}]"
