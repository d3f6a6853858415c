"""The read-back of every acknowledged block, in a process of its own, from the targets' file."""

from __future__ import annotations

from pathlib import Path

import orjson

from crunchbed.backends.namespaces import configs, daemons
from crunchbed.backends.namespaces.daemons import Places
from crunchbed.history import history
from crunchbed.run.world import Loop, ReadBack
from crunchbed.scenario.schema import Scenario
from nodes.process import spawn
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
        for event in history.read(directory / f"{name}.jsonl")
        if isinstance(event, WriteAcknowledged)
    ]


def read_back(scenario: Scenario, places: Places, loop: Loop) -> ReadBack:
    """Read every acknowledged block.

    Raises:
        RunInvalid: That did not come to an end.
    """
    answer = places.out / "verify.json"
    config = places.state / "verify.json"
    config.write_bytes(
        orjson.dumps(
            {
                "disk": str(places.state / configs.DISK),
                "answer": str(answer),
                "acknowledged": acknowledged_writes(scenario, places.out / "history"),
            }
        )
    )
    process = spawn(
        daemons.argv("nodes.block.verify", config),
        name="verify",
        log=places.log("storage", "verify"),
        netns_pid=None,
        cgroup=None,
    )
    try:
        done = loop.run_until(lambda: process.poll() is not None, _VERIFY_SECONDS)
    finally:
        process.kill()
    if not done or process.poll() != 0:
        raise RunInvalid(f"the read-back did not finish: {process.last_words()}")
    found = orjson.loads(answer.read_bytes())
    names = scenario.node_names
    bad = {names[index]: count for index, count in found.pop("bad_of_node")}
    return ReadBack(**found, bad_of_node=bad)
