"""PromQL that more than one panel needs.

Every series has the labels of its scrape target in addition to its own: ``run``, ``scenario`` and
``SETTINGS``. A selector without ``run`` would show events of other runs; a test forbids it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SETTINGS = "policy, flags, detector, shed"
"""Labels of a target in which compared runs of one scenario differ."""
WHICH_RUN = f"run, scenario, {SETTINGS}"
"""All labels of a target except ``node``."""
ONE_RUN = 'run="$run"'
"""The run that the dashboard shows."""
ONE_NODE = f'{ONE_RUN},node="$node"'
SOME_RUNS = 'scenario="$scenario",run=~"$run"'
"""The compared runs of one scenario."""
ANY_RUNS = 'run=~"$run"'


class Query(NamedTuple):
    """An expression, and the name of its series in the legend."""

    expr: str
    legend: str = "{{node}}"


def metric(name: str, where: str, more: str = "") -> str:
    """A selector of one of our metrics; ``name`` is without the prefix ``crunchbed_``."""
    return f"crunchbed_{name}{{{where}{',' + more if more else ''}}}"


def since_start(name: str, where: str, by: Sequence[str] = ("node",)) -> str:
    """A counter as a total that begins at 0, although its series begins with the first event.

    A run takes seconds: a total is legible there, while a rate over a few scrapes is not, and
    ``rate`` never counts the first event of a series.
    """
    zero = metric("heartbeats_sent_total", where)
    return f"sum by ({', '.join(by)}) ({metric(name, where)} or 0 * {zero})"


def quantile(share: float, name: str, where: str, by: Sequence[str] = ()) -> str:
    """A quantile of all observations of a histogram so far."""
    labels = ", ".join((*by, "le"))
    return f"histogram_quantile({share}, sum by ({labels}) ({metric(name + '_bucket', where)}))"


def per_second(name: str, where: str, by: Sequence[str]) -> str:
    """The current rate of a counter, per second."""
    return f"sum by ({', '.join(by)}) (rate({metric(name, where)}[$__rate_interval]))"


def buckets(name: str, where: str) -> str:
    """New observations of a histogram by bucket, for a heat map."""
    return f"sum by (le) (increase({metric(name + '_bucket', where)}[$__rate_interval]))"


def reserve_share(pages: str, reserved: str) -> str:
    """Pages as a share of the reserve, at most 1; no value where the reserve has no pages."""
    return f"clamp_max({pages} / ({reserved} > 0), 1)"


def highest_now(name: str, where: str) -> str:
    """A gauge's highest value since the previous point, or its last value without a scrape since.

    Points may be as close as scrapes, so that a scrape that is slightly late would leave a gap.
    """
    selector = metric(name, where)
    return f"max by (node) (max_over_time({selector}[$__interval]) or {selector})"


def at_end(selector: str) -> str:
    """The last value in the time range, which a run that is over still has."""
    return f"last_over_time({selector}[$__range])"
