"""The cost of scrapes: 32 exporters, scraped every second by a real Prometheus or left alone."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.table import Table

from bench.scraped import NODES
from bench.spread import Spread, coloured
from crunchbed.host.scratch import scratch
from crunchbed.prometheus.server import Prometheus
from crunchbed.run.signals import ended_by_signals
from nodes.process import Process, spawn
from nodes.waiting import wait_until

ROUNDS = 5
GOAL_PERCENT = 2.0
"""Of one processor, for all exporters together."""
_PERIOD_SECONDS = 10.0
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Round:
    """Processor time for each second that passed, in seconds.

    Attributes:
        scraped: Taken by all exporters together, while they are scraped.
        alone: Taken by all exporters together, while they are not scraped.
        prometheus: Taken by Prometheus, while it scrapes.
    """

    scraped: float
    alone: float
    prometheus: float

    @property
    def percent(self) -> float:
        """The cost of scrapes for all exporters, in percent of one processor."""
        return 100 * (self.scraped - self.alone)


def processor_seconds(pid: int) -> float:
    """Processor time that a process has taken, with all its threads, in seconds."""
    # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of linux/posix-timers.h
    return time.clock_gettime((~pid << 3) | 2)


def run(rounds: int) -> list[Round]:
    """Measure with and without scrapes, in turns."""
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        directory = stack.enter_context(scratch("bench"))
        exporters = stack.enter_context(_exporters(directory))
        ports = [int((directory / f"port-{number}").read_text()) for number in range(NODES)]
        server = Prometheus(directory / "prometheus", _config(ports))
        stack.callback(server.close)
        pids = [process.pid for process in exporters]
        wait_until(lambda: _all_up(server), _START_SECONDS, "all exporters are scraped", 1.0)
        return [_round(pids, server.pid) for _ in range(rounds)]


@contextmanager
def _exporters(directory: Path) -> Iterator[list[Process]]:
    started: list[Process] = []
    try:
        for number in range(NODES):
            argv = [sys.executable, "-m", "bench.scraped", str(directory / f"port-{number}")]
            log = directory / f"log-{number}"
            started.append(
                spawn(argv, name=f"exporter {number}", log=log, netns_pid=None, cgroup=None)
            )
        wait_until(
            lambda: all((directory / f"port-{number}").exists() for number in range(NODES)),
            _START_SECONDS,
            f"all exporters serve; the first says: {started[0].last_words()}",
        )
        yield started
    finally:
        for process in started:
            process.kill()


def _config(ports: list[int]) -> str:
    targets = [f"127.0.0.1:{port}" for port in ports]
    job = {"job_name": "bench", "static_configs": [{"targets": targets}]}
    times = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    return orjson.dumps({"global": times, "scrape_configs": [job]}).decode()


def _all_up(server: Prometheus) -> bool:
    found = server.query("count(up == 1)")
    value = found[0]["value"] if found else None
    return isinstance(value, list) and int(value[1]) == NODES


def _round(pids: list[int], prometheus: int) -> Round:
    before = processor_seconds(prometheus)
    scraped = _period(pids)
    server = (processor_seconds(prometheus) - before) / _PERIOD_SECONDS
    os.kill(prometheus, signal.SIGSTOP)
    try:
        alone = _period(pids)
    finally:
        os.kill(prometheus, signal.SIGCONT)
    time.sleep(2.0)  # the scrapes that were due come first
    return Round(scraped, alone, server)


def _period(pids: list[int]) -> float:
    before, began = sum(map(processor_seconds, pids)), time.monotonic()
    time.sleep(_PERIOD_SECONDS)
    return (sum(map(processor_seconds, pids)) - before) / (time.monotonic() - began)


def _spreads(rounds: list[Round]) -> dict[str, Spread]:
    return {
        "exporters_percent": Spread.of([one.percent for one in rounds]),
        "scrape_microseconds": Spread.of([one.percent * 1e4 / NODES for one in rounds]),
        "prometheus_percent": Spread.of([100 * one.prometheus for one in rounds]),
    }


def table(rounds: list[Round]) -> Table:
    """One row."""
    shown = Table(
        title=f"{NODES} nodes scraped every second; goal: exporters take at most "
        f"{GOAL_PERCENT:g} % of one processor",
        caption="median (quartiles) of rounds; scraped less left alone, within each round",
    )
    for heading in ("exporters %", "a scrape, microseconds", "Prometheus %"):
        shown.add_column(heading, justify="right")
    found = _spreads(rounds)
    own = found["exporters_percent"]
    shown.add_row(
        coloured(own.shown(2), good=own.median <= GOAL_PERCENT),
        found["scrape_microseconds"].shown(),
        found["prometheus_percent"].shown(1),
    )
    return shown


def as_dict(rounds: list[Round]) -> dict[str, Any]:
    """For the JSON file."""
    return {"goal_percent": GOAL_PERCENT, "nodes": NODES, **_spreads(rounds)}
