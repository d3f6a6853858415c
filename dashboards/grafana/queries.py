"""PromQL that more than one panel needs.

Every series has the labels of its scrape target beside its own: ``run``, ``scenario`` and
``SETTINGS``. A selector without ``run`` would show other runs' events: a test forbids it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SETTINGS = "policy, flags, detector, shed"
"""Labels of a target in which runs of one scenario differ that are held against each other."""
WHICH_RUN = f"run, scenario, {SETTINGS}"
"""All labels of a target, but for the node."""
ONE_RUN = 'run="$run"'
"""The run that the dashboard shows."""
ONE_NODE = f'{ONE_RUN},node="$node"'
SOME_RUNS = 'scenario="$scenario",run=~"$run"'
"""The runs of one scenario that are held against each other."""
ANY_RUNS = 'run=~"$run"'


class Query(NamedTuple):
    """An expression and what its series are called in the legend."""

    expr: str
    legend: str = "{{node}}"


def metric(name: str, where: str, more: str = "") -> str:
    """A selector of one of our metrics: ``name`` without its prefix."""
    return f"crunchbed_{name}{{{where}{',' + more if more else ''}}}"


def since_start(name: str, where: str, by: Sequence[str] = ("node",)) -> str:
    """A counter whose series come with their first event, as a total that begins at 0.

    A run takes seconds: totals are legible there, where rates over a few scrapes are not, and
    ``rate`` never sees the event that brought a series.
    """
    zero = metric("heartbeats_sent_total", where)
    return f"sum by ({', '.join(by)}) ({metric(name, where)} or 0 * {zero})"


def quantile(share: float, name: str, where: str, by: Sequence[str] = ()) -> str:
    """A quantile of everything that a histogram has seen so far."""
    labels = ", ".join((*by, "le"))
    return f"histogram_quantile({share}, sum by ({labels}) ({metric(name + '_bucket', where)}))"


def per_second(name: str, where: str, by: Sequence[str]) -> str:
    """How often a counter counts now."""
    return f"sum by ({', '.join(by)}) (rate({metric(name, where)}[$__rate_interval]))"


def buckets(name: str, where: str) -> str:
    """Observations of a histogram by bucket, for a heat map."""
    return f"sum by (le) (increase({metric(name + '_bucket', where)}[$__rate_interval]))"


def reserve_share(pages: str, reserved: str) -> str:
    """Pages as a share of the reserve, 1 at the most; nothing where there is no reserve."""
    return f"clamp_max({pages} / ({reserved} > 0), 1)"


def highest_now(name: str, where: str) -> str:
    """A gauge's highest value since the point before; its last one where no scrape fell in there.

    Points may be as close as scrapes, and a scrape that is late by a moment would leave a gap.
    """
    selector = metric(name, where)
    return f"max by (node) (max_over_time({selector}[$__interval]) or {selector})"


def at_end(selector: str) -> str:
    """The last value in the time range: of a run that is over nothing is newer."""
    return f"last_over_time({selector}[$__range])"
