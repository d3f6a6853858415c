"""``python -m bench.scraped PORT_FILE``: the exporter of one node of 32, with hooks of its own.

The hooks are loaded, so that their counters are read as in a run, but attached to nothing. Events
come at the rate of a run with traffic, and so no text of a second ago can be handed out again.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from reserve_agent.contract.packets import Hook, PacketClass, Policy, Reason
from reserve_agent.exporter import Exporter, PacketCounts
from reserve_agent.hooks.loader import OBJECT_PATH, HookSettings, NodeHooks

NODES = 32
_STEP_SECONDS = 0.1
_WRITE = {"kind": "write.ack", "transport": "nbd", "submitted": 0}
# What a node sees that takes part in everything, under pressure too.
_SEEN = {
    (hook, cls, reason): (1000, 1000)
    for hook in Hook
    for cls in PacketClass
    for reason in (Reason.GRANTED, Reason.FROM_RESERVE)
}


def exporter_of(hooks: NodeHooks) -> Exporter:
    """As the agent makes it, with the series of a run in which much has happened."""

    def packets() -> PacketCounts:
        return {**_SEEN, **hooks.counters()}

    exporter = Exporter("n1", None, packets, lambda name: int(getattr(hooks.pool, name)))
    exporter.describe_run("abcd", "control", "memalloc")
    for number in range(2, NODES + 1):
        exporter.observe({"t": 0, "kind": "heartbeat.miss", "peer": f"n{number}"})
    return exporter


def main() -> None:
    """Serve until the parent is gone."""
    hooks = NodeHooks(OBJECT_PATH)
    hooks.configure(HookSettings(Policy.MEMALLOC))
    exporter = exporter_of(hooks)
    peers = [f"n{number}" for number in range(2, NODES + 1)]
    port = exporter.serve()
    partial = Path(sys.argv[1] + ".part")
    partial.write_text(str(port))
    partial.rename(sys.argv[1])
    while True:
        time.sleep(_STEP_SECONDS)
        exporter.observe({"t": 0, "kind": "heartbeat.sent", "peers": len(peers)})
        exporter.observe({"t": 0, "kind": "heartbeat.received", "counts": dict.fromkeys(peers, 1)})
        exporter.observe({**_WRITE, "t": 2_000_000})


if __name__ == "__main__":
    main()
