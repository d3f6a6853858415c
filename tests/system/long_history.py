"""A run with as many events as one likes: a thousand a second, of all kinds that are many."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from tests.unit import judged_runs

_SECOND = 1_000_000_000
_NODES = ("n1", "n2", "n3")
_CONFIG = {
    "total": 16384,
    "reserve": 256,
    "clean": 8192,
    "computed": 58,
    "policy": "none",
    "metrics_port": 4000,
}
_REST_OF_A_SAMPLE = {
    **dict.fromkeys(("demand", "rx_running", "rx_stalled", "hoarded", "tx"), 0),
    "dirty": 4,
    "low_water": 90,
}


def write_long_run(directory: Path, events: int) -> int:
    """Write scenario and history of about ``events`` events; returns how many there are."""
    directory.mkdir(parents=True)
    scenario = judged_runs.scenario("none").resolved()
    (directory / "scenario.json").write_bytes(orjson.dumps(scenario))
    made = sorted(_events(events // 1000), key=lambda event: event["t"])
    (directory / "history.jsonl").write_bytes(b"".join(orjson.dumps(e) + b"\n" for e in made))
    return len(made)


def _event(second: float, kind: str, node: str = "run", **fields: Any) -> dict[str, Any]:
    return {"t": round(second * _SECOND), "kind": kind, "node": node, **fields}


def _events(seconds: int) -> Iterator[dict[str, Any]]:
    for name, share in (("start", 0.0), ("control", 0.0001), ("inject", 0.1), ("recovery", 0.9)):
        yield _event(share * seconds, "phase", name=name)
    yield _event(seconds + 0.5, "phase", name="collect")
    yield _event(0.01, "run.info", seed=1, backend="linux-bridge", versions={"kernel": "6.1"})
    for node in _NODES:
        yield _event(0.02, "pool.config", node, **_CONFIG)
    crunch = {"crunch": "writeback", "target": "n1", "requested": {"pages": 12000}}
    yield _event(seconds * 0.1 + 0.01, "crunch.begin", **crunch)
    numbers = random.Random(1)  # noqa: S311 - a pattern, not a secret
    for second in range(seconds):
        for node in _NODES:
            yield from _usual(second + 0.3, node, numbers)
            if second > seconds * 0.1:
                yield from _trouble(second + 0.3, node)
    yield _event(seconds + 1, "verify.result", "storage", checked=9, ok=9, lost=0, corrupt=0)


def _usual(begin: float, node: str, numbers: random.Random) -> Iterator[dict[str, Any]]:
    """One second: 20 samples, 10 heartbeats, 196 writes."""
    for n in range(20):
        free = numbers.randint(100, 9000)
        yield _event(begin + n / 20, "pool.sample", node, free=free, **_REST_OF_A_SAMPLE)
    for n in range(10):
        yield _event(begin + n / 10, "heartbeat.sent", node, seq=int(begin) * 10 + n, peers=[1, 2])
    for n in range(196):
        t = begin + n / 196
        submitted = round((t - numbers.lognormvariate(-6, 1.2)) * _SECOND)
        yield _event(t, "write.ack", node, submitted=submitted, blocks=4, seq=n)


def _trouble(begin: float, node: str) -> Iterator[dict[str, Any]]:
    """One second: 25 episodes of pressure, 40 drops, 20 heartbeats missed."""
    peer = "n2" if node == "n1" else "n1"
    for n in range(25):
        t = begin + n / 25
        yield _event(t, "pressure.begin", node, free=200)
        since, length = round(t * _SECOND), 10_000_000
        yield _event(t + 0.01, "pressure.end", node, since=since, duration_ns=length)
    for n in range(40):
        tag = f"{int(begin) * 100 + n:016x}"
        drop = {"hook": "receive", "reason": "alloc_failed", "cls": "heartbeat", "tag": tag}
        yield _event(begin + n / 40, "drop", node, src="10.77.0.1", dst="10.77.0.2", **drop)
    for n in range(20):
        t, tag = begin + n / 20, f"{int(begin) * 100 + 2 * n:016x}"
        yield _event(t, "heartbeat.miss", node, peer=peer, deadline=round(t * _SECOND), tag=tag)
