"""Runs of `writeback-crunch` as they should be, for tests of what is made of them."""

from __future__ import annotations

from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from tests.unit.recording import Recording

EXPECT = [
    "none.nodes_ejected >= 1",
    "none.false_ejections >= 1",
    "memalloc.nodes_ejected == 0",
    "writes_lost == 0",
]


def scenario(policy: str = "memalloc") -> Scenario:
    """The shipped one, with the keys that these runs depend on set fast."""
    crunch = {"kind": "writeback", "target": "n1", "pages": 12000, "rate": 100_000}
    heartbeat = {"interval": "100ms", "misses": 5}
    return load("writeback-crunch").with_overrides(
        {"policy": policy, "expect": EXPECT, "crunch": crunch, "heartbeat": heartbeat}
    )


def good_run(seed: int = 1) -> Recording:
    """A run under memalloc that went as claimed."""
    recording = Recording().complete()
    versions = {"kernel": "6.1"}
    recording.add(1, "run.info", seed=seed, backend="linux-bridge", versions=versions)
    for node in ("n1", "n2", "n3"):
        recording.add(50, "pool.config", node, total=16384, reserve=512, policy="memalloc")
        recording.add(60, "heartbeat.sent", node, seq=1, peers=2)
        recording.ack(2000, node, 1990).ack(2020, node, 2000)
        recording.add(2050, "pool.sample", node, free=8000, low_water=300, dirty=0)
    recording.add(1200, "crunch.begin", target="n1", requested={"pages": 12000, "rate": 100_000})
    return recording.pressure(1280, 2280, "n1")


def ejecting_run(seed: int = 1) -> Recording:
    """A run under none: the crunched node is ejected alive."""
    recording = good_run(seed)
    recording.drop(1300, "transmit", "tx_stalled", sender="n1", observer="n2", seq=14)
    recording.miss(1350, "n2", "n1", 14)
    return recording.fence(1800, "n1", view=2, observers=("n2", "n3"))


def result_of(recording: Recording, policy: str = "memalloc") -> Result:
    return judge(recording.history(), scenario(policy))
