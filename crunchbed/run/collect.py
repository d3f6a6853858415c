"""After the run: packet counters, the read-back of every acknowledged block, one history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from crunchbed.backends.namespaces import configs, daemons
from crunchbed.backends.namespaces.controller import LiveController
from crunchbed.backends.namespaces.daemons import Places
from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.history import history
from crunchbed.history.recorder import Recorder
from crunchbed.run.supervisor import Supervisor, ask_quietly
from crunchbed.scenario.schema import Scenario
from nodes.process import spawn
from reserve_agent.errors import RunInvalid

_VERIFY_SECONDS = 120.0


def acknowledged_writes(
    scenario: Scenario, directory: Path
) -> list[tuple[int, int, int, int, int]]:
    """(node index, incarnation, sequence, block, blocks) of each, from the nodes' histories."""
    rows = []
    for index, name in enumerate(scenario.node_names):
        for event in history.read(directory / f"{name}.jsonl"):
            if event.kind == "write.ack":
                data = event.data
                rows.append(
                    (index, data["incarnation"], data["seq"], data["block"], data["blocks"])
                )
    return rows


def name_reserve_users(nodes: Mapping[str, LiveNode]) -> None:
    """Have every agent write down which sockets its reserve went to, while there are any."""
    for node in nodes.values():
        ask_quietly(node, "sockets")


def count_packets(nodes: Mapping[str, LiveNode], controller: LiveController | None) -> None:
    """Have every agent write its packet counters down, and the controller those of the switches."""
    for node in nodes.values():
        ask_quietly(node, "packets")
    if controller is not None:
        controller.count_packets()


def verify_writes(
    scenario: Scenario, places: Places, supervisor: Supervisor, recorder: Recorder
) -> None:
    """Read every acknowledged block back from the targets' file and record what was found.

    Every node's agent is told how many of its blocks were not there, for its metrics.
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
        log=places.out / "logs" / "storage-verify.log",
        netns_pid=None,
        cgroup=None,
    )
    try:
        done = supervisor.wait_until(lambda: process.poll() is not None, _VERIFY_SECONDS)
    finally:
        process.kill()
    if not done or process.poll() != 0:
        raise RunInvalid(f"the read-back did not finish: {process.last_words()}")
    found = orjson.loads(answer.read_bytes())
    bad = dict(found.pop("bad_of_node"))
    for index, name in enumerate(scenario.node_names):
        event = {"kind": "writes.verified", "lost": bad.get(index, 0)}
        ask_quietly(supervisor.nodes[name], "event", event=event)
    recorder.record("verify.result", node="storage", **found)
