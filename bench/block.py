"""The cost of the hooks for block I/O without a shaped link: NBD writes over one connection.

Two connections differ by more than what is to be measured, since their threads stay on the
processors that they came to. So each variant has slices of the same connection, by turns: what is
in the way is attached and detached while fio writes. A ratio is between two slices of the same
turn. Each turn has an order of its own: what follows NFQUEUE finds a smaller window of TCP, so that
no variant may follow it always. ``no hooks again`` says how far ratios are chance.

Beside its throughput a slice tells the processor time of all that take part for a megabyte. The
hooks add to that, and other work on the machine changes it less than throughput.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from rich.table import Table

from bench import link
from bench.link import BARE, GOAL_LOST_PERCENT, HOOKS, NFQUEUE
from bench.spread import Spread, coloured
from crunchbed.host.scratch import scratch
from crunchbed.run.signals import ended_by_signals
from nodes.process import spawn
from reserve_agent.errors import CrunchbedError
from tests.system.wire import cable

AGAIN, BOOKED = "no hooks again", "hooks, all booked"
VARIANTS: Final = (BARE, HOOKS, BOOKED, NFQUEUE, AGAIN)
ROUNDS, TURNS = 3, 12
"""Connections, and turns of each."""
SLICE, SETTLE, WARM_UP, STALL = 0.25, 0.1, 0.7, 10  # seconds
ENOUGH_BYTES: Final = 1_000_000
HOUR: Final = 3600
"""Fio is ended before."""
_SENT: Final = 8
"""Bytes sent, among the figures of an interface in /proc/net/dev."""

Way = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Slice:
    """One variant for a moment.

    Attributes:
        megabits_per_second: That left the node.
        milliseconds_per_megabyte: Processor time of initiator, target and, if it is in the way,
            the verdict loop, with the network's work that they do.
    """

    megabits_per_second: float
    milliseconds_per_megabyte: float


def _sent_bytes(node: int) -> int:
    for line in Path(f"/proc/{node}/net/dev").read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == "eth0":
            return int(figures.split()[_SENT])
    raise CrunchbedError("the node has no eth0")


def _ran_ns(pids: Iterable[int]) -> int:
    """Processor time of processes, by the scheduler's own clock."""
    tasks = (Path(f"/proc/{pid}/task").glob("*/schedstat") for pid in pids)
    return sum(int(task.read_text().split()[0]) for each in tasks for task in each)


def _wait_for_writes(node: int) -> None:
    """Wait for the end of a stall, if there is one: for a megabyte that has left."""
    until = time.perf_counter() + STALL
    sent = _sent_bytes(node)
    while _sent_bytes(node) < sent + ENOUGH_BYTES:
        if time.perf_counter() > until:
            raise CrunchbedError(f"fio has written nothing for {STALL} s")
        time.sleep(SETTLE)


def _slice(node: int, pids: Iterable[int]) -> Slice:
    """Measure one slice; again, where nothing left in it.

    On a busy machine the backlog of a veth may be full. The packet is lost, whatever the variant,
    and TCP waits for 200 ms or more.
    """
    sent = 0
    while not sent:
        time.sleep(SETTLE)
        _wait_for_writes(node)
        began, before, ran = time.perf_counter(), _sent_bytes(node), _ran_ns(pids)
        time.sleep(SLICE)
        took = time.perf_counter() - began
        sent, ran = _sent_bytes(node) - before, _ran_ns(pids) - ran
    return Slice(sent * 8e-6 / took, ran / sent)


def connection(turns: int) -> list[dict[str, Slice]]:
    """So many turns of all variants on one connection."""
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        place = stack.enter_context(scratch("bench"))
        ends = link.Ends(*stack.enter_context(cable()))
        ends.without_offloads()
        target = link.listen(ends.peer, place)
        stack.callback(target.kill)
        hooks, booked = link.HooksInTheWay(ends), link.HooksInTheWay(ends, ns_per_page=1)
        queue = link.QueueInTheWay(ends, place)
        for way in (hooks, booked, queue):
            stack.callback(way.close)
        ways: dict[str, Way] = {BARE: nullcontext, AGAIN: nullcontext}
        ways |= {HOOKS: hooks, BOOKED: booked, NFQUEUE: queue}
        fio = spawn(
            link.fio_argv(HOUR),
            name="fio",
            log=place / "fio",
            netns_pid=ends.node,
            cgroup=ends.cgroup,
        )
        stack.callback(fio.kill)
        time.sleep(WARM_UP)
        pids = (fio.pid, target.pid, queue.pid)
        return [_turn(number, ways, ends.node, pids) for number in range(turns)]


def _turn(number: int, ways: dict[str, Way], node: int, pids: Iterable[int]) -> dict[str, Slice]:
    found = {}
    for variant in Random(number).sample(VARIANTS, len(VARIANTS)):  # noqa: S311
        with ways[variant]():
            found[variant] = _slice(node, pids)
    return found


Result = list[dict[str, Slice]]


def run(rounds: int) -> Result:
    """Measure on so many connections, one after the other; returns every turn."""
    return [turn for _ in range(rounds) for turn in connection(TURNS)]


def _spreads(result: Result, variant: str) -> dict[str, Spread]:
    """Throughput and processor time, and both compared with no hooks in the same turn."""
    own, base = [turn[variant] for turn in result], [turn[BARE] for turn in result]
    pairs = list(zip(own, base, strict=True))
    lost = [100 * (1 - a.megabits_per_second / b.megabits_per_second) for a, b in pairs]
    more = [100 * (a.milliseconds_per_megabyte / b.milliseconds_per_megabyte - 1) for a, b in pairs]
    return {
        "megabits_per_second": Spread.of([one.megabits_per_second for one in own]),
        "lost_percent": Spread.of(lost),
        "milliseconds_per_megabyte": Spread.of([one.milliseconds_per_megabyte for one in own]),
        "more_processor_percent": Spread.of(more),
    }


def table(result: Result) -> Table:
    """One row for a variant."""
    shown = Table(
        title=f"NBD writes, unshaped; goal: hooks lose at most {GOAL_LOST_PERCENT:g} %",
        caption=f"median (quartiles) of {len(result)} turns; lost and more: within each turn",
    )
    for heading in ("variant", "Mb/s", "lost %", "processor ms/MB", "more %"):
        shown.add_column(heading, justify="left" if heading == "variant" else "right")
    for variant in VARIANTS:
        found = _spreads(result, variant)
        lost = found["lost_percent"]
        cell = coloured(lost.shown(1), good=lost.median <= GOAL_LOST_PERCENT)
        bare = variant == BARE
        shown.add_row(
            variant,
            found["megabits_per_second"].shown(),
            "" if bare else cell,
            found["milliseconds_per_megabyte"].shown(2),
            "" if bare else found["more_processor_percent"].shown(1),
        )
    return shown


def as_dict(result: Result) -> dict[str, Any]:
    """For the JSON file."""
    rows = [{"variant": variant, **_spreads(result, variant)} for variant in VARIANTS]
    return {"goal_lost_percent": GOAL_LOST_PERCENT, "rows": rows}
