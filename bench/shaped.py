"""The cost of the hooks for block I/O over a shaped link: throughput and latency of NBD writes.

Each measurement has a new pair of namespaces (``bench/link.py``). A round measures the three
variants in turn, and each round begins with another one; a ratio is between two measurements of the
same round.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from bench import link
from bench.link import BARE, GOAL_LOST_PERCENT, HOOKS, NFQUEUE
from bench.spread import Spread, coloured
from crunchbed.host.scratch import scratch
from crunchbed.run.signals import ended_by_signals
from nodes.process import entering
from reserve_agent.errors import CrunchbedError
from reserve_agent.netns import network_namespace_of
from tests.system.wire import cable
from topologies.wiring import shape_node

VARIANTS = (BARE, HOOKS, NFQUEUE)
RATE_MBIT = 200.0
ROUNDS, SECONDS, WARM_UP = 6, 1, 0.3


@dataclass(frozen=True)
class Writes:
    """One measurement of fio."""

    bytes_per_second: float
    p99_seconds: float


def _fio(ends: link.Ends) -> Writes:
    argv = link.fio_argv(SECONDS, f"--ramp_time={WARM_UP}", "--output-format=json")
    command = entering(argv, netns_pid=ends.node, cgroup=ends.cgroup)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise CrunchbedError(f"fio: {done.stderr.strip() or done.stdout.strip()}")
    write = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]["write"]
    return Writes(write["bw_bytes"], write["clat_ns"]["percentile"]["99.000000"] / 1e9)


def measure(variant: str) -> Writes:
    """Measure one variant on a new pair of namespaces."""
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        place = stack.enter_context(scratch("bench"))
        ends = link.Ends(*stack.enter_context(cable()))
        for end in (ends.node, ends.peer):
            with network_namespace_of(end):
                shape_node(["eth0"], RATE_MBIT)
        stack.callback(link.listen(ends.peer, place).kill)
        if variant != BARE:
            way = link.in_the_way(variant, ends, place)
            stack.callback(way.close)
            stack.enter_context(way())
        return _fio(ends)


Result = dict[str, list[Writes]]


def run(rounds: int) -> Result:
    """Measure all variants in turns; returns one entry of each for each round."""
    found: Result = {variant: [] for variant in VARIANTS}
    for number in range(rounds):
        first = number % len(VARIANTS)
        for variant in VARIANTS[first:] + VARIANTS[:first]:
            found[variant].append(measure(variant))
    return found


def _spreads(result: Result, variant: str) -> dict[str, Spread]:
    """Throughput, its loss compared with no hooks, and the 99th percentile of the latency."""
    own = result[variant]
    pairs = list(zip(own, result[BARE], strict=True))
    lost = [100 * (1 - one.bytes_per_second / other.bytes_per_second) for one, other in pairs]
    return {
        "megabits_per_second": Spread.of([one.bytes_per_second * 8e-6 for one in own]),
        "lost_percent": Spread.of(lost),
        "p99_milliseconds": Spread.of([one.p99_seconds * 1e3 for one in own]),
    }


def table(result: Result) -> Table:
    """One row for a variant."""
    shown = Table(
        title=f"NBD writes at {RATE_MBIT:g} Mb/s; goal: hooks lose at most {GOAL_LOST_PERCENT:g} %",
        caption="median (quartiles) of rounds taken in turn; lost: within each round",
    )
    for heading in ("variant", "Mb/s", "lost %", "p99 ms"):
        shown.add_column(heading, justify="left" if heading == "variant" else "right")
    for variant in result:
        found = _spreads(result, variant)
        lost = found["lost_percent"]
        cell = coloured(lost.shown(1), good=lost.median <= GOAL_LOST_PERCENT)
        shown.add_row(
            variant,
            found["megabits_per_second"].shown(),
            "" if variant == BARE else cell,
            found["p99_milliseconds"].shown(2),
        )
    return shown


def as_dict(result: Result) -> dict[str, Any]:
    """For the JSON file."""
    rows = [{"variant": variant, **_spreads(result, variant)} for variant in result]
    return {"goal_lost_percent": GOAL_LOST_PERCENT, "megabits": RATE_MBIT, "rows": rows}
