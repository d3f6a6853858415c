"""The read-back of every acknowledged block, in a process of its own, from the targets' file."""

from __future__ import annotations

from pathlib import Path

import orjson

from crunchbed.backends.common import configs
from crunchbed.backends.common.live_run import LiveRun, argv
from crunchbed.history.merge import sound
from crunchbed.run.world import STORAGE, Loop, ReadBack
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.writes import WriteAcknowledged
from reserve_agent.errors import RunInvalid

_VERIFY_SECONDS = 120.0


def acknowledged_writes(
    scenario: Scenario, directory: Path
) -> list[tuple[int, int, int, int, int]]:
    """Return (node index, incarnation, sequence, block, blocks) of each, from nodes' histories."""
    return [
        (index, event.incarnation, event.seq, event.block, event.blocks)
        for index, name in enumerate(scenario.node_names)
        for event in sound(directory / f"{name}.jsonl")[0]
        if isinstance(event, WriteAcknowledged)
    ]


def read_back(run: LiveRun, loop: Loop) -> ReadBack:
    """Read every acknowledged block; ``World.read_back``."""
    answer = run.out / "verify.json"
    config = run.state / "verify.json"
    told = {
        "disk": str(run.state / configs.DISK),
        "answer": str(answer),
        "acknowledged": acknowledged_writes(run.scenario, run.out / "history"),
    }
    config.write_bytes(orjson.dumps(told))  # not indented: a list of a million writes
    process = run.spawn(f"{STORAGE} verify", argv("nodes", "verify", config))
    try:
        done = loop.run_until(lambda: process.poll() is not None, _VERIFY_SECONDS)
    finally:
        process.kill()
    if not done or process.poll() != 0:
        raise RunInvalid(f"the read-back did not finish: {process.last_words()}")
    found = orjson.loads(answer.read_bytes())
    names = run.scenario.node_names
    bad = {names[index]: count for index, count in found.pop("bad_of_node")}
    return ReadBack(**found, bad_of_node=bad)
