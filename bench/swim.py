"""What SWIM and membership cost a node in a period, by the number of nodes: pure code, no network.

All nodes are of one process and all is calm: every node probes one peer in a period and answers
about one probe. The time is that of the processor, with the queue that carries what nodes say.
"""

from __future__ import annotations

import gc
import heapq
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.spread import Spread, coloured
from nodes.membership.cluster import Cluster
from nodes.membership.detectors.settings import SwimSettings
from nodes.membership.rings import Arrival
from nodes.membership.roster import Roster
from nodes.membership.settings import HeartbeatSettings
from nodes.membership.turn import HeartbeatNode

SIZES = (100, 300, 1_000, 3_000, 10_000)
ROUNDS = 3
GOAL = 1.5
"""The largest cost may be as many times the smallest, so that it does not grow with the nodes."""
_NODE_PERIODS = 30_000  # of a measurement, but at least three periods
_PERIOD_NS = 1_000_000_000
_DELAY_NS = 1_000_000


class CalmCluster:
    """Nodes that hear each other a millisecond later, on a clock that waits for nobody."""

    def __init__(self, size: int) -> None:
        names = [f"n{number + 1}" for number in range(size)]
        self._index = {name: index for index, name in enumerate(names)}
        cluster = Cluster(Roster(self._index), settled=True)
        self._names = names
        self._nodes = [self._node(name, size, cluster) for name in names]
        self._planned = [node.next_turn_ns() for node in self._nodes]
        self._queue: list[tuple[int, int, int, Arrival | None]] = [
            (due_ns, index, index, None) for index, due_ns in enumerate(self._planned)
        ]
        heapq.heapify(self._queue)
        self._numbers = size
        self.events = 0

    def _node(self, name: str, size: int, cluster: Cluster) -> HeartbeatNode:
        index = self._index[name]
        settings = HeartbeatSettings(
            node=name,
            index=index,
            peers={},
            interval_ns=_PERIOD_NS,
            misses=3,
            phase_ns=index * _PERIOD_NS // size,
            detector=SwimSettings.preset(_PERIOD_NS),
        )
        return HeartbeatNode(settings, 0, cluster)

    def run(self, until_ns: int) -> None:
        """Let the nodes take the turns that are due until then."""
        while self._queue[0][0] <= until_ns:
            now_ns, _, index, arrival = heapq.heappop(self._queue)
            if arrival is not None or now_ns == self._planned[index]:
                self._turn(index, now_ns, () if arrival is None else (arrival,))

    def _turn(self, index: int, now_ns: int, arrivals: tuple[Arrival, ...]) -> None:
        node = self._nodes[index]
        turn = node.turn(now_ns, arrivals)
        due_ns = node.next_turn_ns()
        self.events += len(turn.events)
        at_ns, name = now_ns + _DELAY_NS, self._names[index]
        for datagram in turn.datagrams:
            arrival = Arrival(datagram.payload, name, at_ns, said=datagram.said)
            for receiver in datagram.to:
                self._push(at_ns, self._index[receiver], arrival)
        if due_ns != self._planned[index] or not arrivals:
            self._planned[index] = due_ns
            self._push(due_ns, index, None)

    def _push(self, at_ns: int, index: int, arrival: Arrival | None) -> None:
        self._numbers += 1
        heapq.heappush(self._queue, (at_ns, self._numbers, index, arrival))


@dataclass(frozen=True)
class Cost:
    """One measurement.

    Attributes:
        microseconds: Of a node in a period.
        start_microseconds: Of the making of a node.
        kilobytes: Memory of a node after these periods, 1024 bytes each.
    """

    microseconds: float
    start_microseconds: float
    kilobytes: float


Result = dict[int, list[Cost]]


def measure(size: int, periods: int | None = None) -> Cost:
    """Return what the nodes of a cluster cost."""
    if periods is None:
        periods = max(3, _NODE_PERIODS // size)
    gc.collect()
    before, began = _resident_bytes(), time.process_time()
    cluster = CalmCluster(size)
    started = time.process_time() - began
    cluster.run(_PERIOD_NS)  # the first probes
    began = time.process_time()
    cluster.run((1 + periods) * _PERIOD_NS)
    spent = (time.process_time() - began) / periods
    kilobytes = (_resident_bytes() - before) / 1024
    return Cost(spent * 1e6 / size, started * 1e6 / size, kilobytes / size)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(rounds: int) -> Result:
    """Measure all sizes in each round, the largest last."""
    found: Result = {size: [] for size in SIZES}
    for _ in range(rounds):
        for size, costs in found.items():
            costs.append(measure(size))
    return found


def table(found: Result) -> Table:
    """One row for a size."""
    made = Table(title="SWIM and membership, microseconds a node and period: median (quartiles)")
    headings = ("nodes", "a period", f"of the smallest (goal {GOAL})", "a start", "KiB")
    for heading in headings:
        made.add_column(heading, justify="right")
    spreads = {size: Spread.of([one.microseconds for one in found[size]]) for size in found}
    least = spreads[min(spreads)].median
    for size, spread in spreads.items():
        times = spread.median / least
        made.add_row(
            f"{size:,}",
            spread.shown(1),
            coloured(f"{times:.2f}", good=times <= GOAL),
            Spread.of([one.start_microseconds for one in found[size]]).shown(1),
            f"{max(one.kilobytes for one in found[size]):.1f}",
        )
    return made


def as_dict(found: Result) -> list[dict[str, Any]]:
    """For the JSON file."""
    return [
        {
            "nodes": size,
            "microseconds": Spread.of([one.microseconds for one in costs]),
            "start_microseconds": Spread.of([one.start_microseconds for one in costs]),
            "kilobytes": max(one.kilobytes for one in costs),
        }
        for size, costs in found.items()
    ]
