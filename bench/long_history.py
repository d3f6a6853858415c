"""A run directory with any number of events: a thousand a second, of all kinds that are frequent.

For the bench, and for the test of a large report.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import orjson

from crunchbed.scenario.loader import load
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.faults import CrunchBegan
from reserve_agent.contract.events.heartbeats import HeartbeatMissed, HeartbeatSent
from reserve_agent.contract.events.pressure import (
    PacketDropped,
    PoolConfigured,
    PoolSampled,
    PressureBegan,
    PressureEnded,
)
from reserve_agent.contract.events.run import PhaseBegan, RunInfo
from reserve_agent.contract.events.writes import VerifyResult, WriteAcknowledged

_SECOND = 1_000_000_000
_NODES = ("n1", "n2", "n3")
_TOTAL, _RESERVE = 16384, 256
_CRUNCH = {"kind": "writeback", "target": "n1", "pages": 12000, "rate": 100_000}
_HEARTBEAT = {"interval": "100ms", "misses": 5}


def write_long_run(directory: Path, events: int) -> int:
    """Write scenario and history of a run to a new directory.

    Args:
        directory: does not exist yet.
        events: about how many events the history shall have.

    Returns:
        How many events it has.
    """
    directory.mkdir(parents=True)
    scenario = load("writeback-crunch").with_overrides(
        {"policy": "none", "crunch": _CRUNCH, "heartbeat": _HEARTBEAT}
    )
    (directory / "scenario.json").write_bytes(orjson.dumps(scenario.resolved()))
    made = sorted(_events(events // 1000), key=lambda event: event.t)
    lines = (orjson.dumps(event.record()) + b"\n" for event in made)
    (directory / "history.jsonl").write_bytes(b"".join(lines))
    return len(made)


def _at(second: float) -> int:
    return round(second * _SECOND)


def _events(seconds: int) -> Iterator[Event]:
    for name, share in (("start", 0.0), ("control", 0.0001), ("inject", 0.1), ("recovery", 0.9)):
        yield PhaseBegan(t=_at(share * seconds), node="run", name=name)
    yield PhaseBegan(t=_at(seconds + 0.5), node="run", name="collect")
    versions = {"kernel": "6.1"}
    yield RunInfo(t=_at(0.01), node="run", seed=1, backend="linux-bridge", versions=versions)
    for node in _NODES:
        yield PoolConfigured(
            t=_at(0.02),
            node=node,
            total=_TOTAL,
            reserve=_RESERVE,
            clean=0,
            computed=_RESERVE,
            policy="none",
            metrics_port=0,
        )
    begin, requested = _at(seconds * 0.1 + 0.01), {"pages": 12000}
    yield CrunchBegan(t=begin, node="run", crunch="writeback", target="n1", requested=requested)
    numbers = random.Random(1)  # noqa: S311 - a pattern, not a secret
    for second in range(seconds):
        for node in _NODES:
            yield from _usual(second + 0.3, node, numbers)
            if second > seconds * 0.1:
                yield from _trouble(second + 0.3, node)
    yield VerifyResult(t=_at(seconds + 1), node="storage", checked=9, ok=9, lost=0, corrupt=0)


def _usual(begin: float, node: str, numbers: random.Random) -> Iterator[Event]:
    """One second: 20 samples, 10 heartbeats, 196 writes."""
    for n in range(20):
        free = numbers.randint(100, 9000)
        yield PoolSampled(
            t=_at(begin + n / 20),
            node=node,
            free=free,
            dirty=4,
            demand=0,
            rx_running=0,
            rx_stalled=0,
            hoarded=0,
            tx=0,
            low_water=90,
        )
    for n in range(10):
        t, seq = _at(begin + n / 10), int(begin) * 10 + n
        yield HeartbeatSent(
            t=t, node=node, seq=seq, peers=[name for name in _NODES if name != node]
        )
    for n in range(196):
        moment = begin + n / 196
        submitted = _at(moment - numbers.lognormvariate(-6, 1.2))
        yield WriteAcknowledged(t=_at(moment), node=node, submitted=submitted, blocks=4, seq=n)


def _trouble(begin: float, node: str) -> Iterator[Event]:
    """One second: 25 episodes of pressure, 40 drops, 20 heartbeats missed."""
    peer = "n2" if node == "n1" else "n1"
    for n in range(25):
        t, length = _at(begin + n / 25), _at(0.01)
        yield PressureBegan(t=t, node=node, free=200)
        yield PressureEnded(t=t + length, node=node, since=t, duration_ns=length)
    for n in range(40):
        yield PacketDropped(
            t=_at(begin + n / 40),
            node=node,
            hook="receive",
            reason="alloc_failed",
            cls="heartbeat",
            src="10.77.0.1",
            dst="10.77.0.2",
            tag=f"{int(begin) * 100 + n:016x}",
        )
    for n in range(20):
        t, tag = _at(begin + n / 20), f"{int(begin) * 100 + 2 * n:016x}"
        yield HeartbeatMissed(t=t, node=node, peer=peer, deadline=t, tag=tag)
