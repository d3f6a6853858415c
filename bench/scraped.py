"""``python -m bench.scraped PORT_FILE``: the exporter of one node of 32, with hooks of its own.

The hooks are loaded, so that their counters are read as in a run, but they are attached to nothing.
Events come at the rate of a run with traffic, so that no scrape can reuse the text of the last one.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from reserve_agent.contract.events.heartbeats import (
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
)
from reserve_agent.contract.events.pressure import PoolConfigured
from reserve_agent.contract.events.writes import WriteAcknowledged
from reserve_agent.contract.packets import Hook, PacketClass, Policy, Reason
from reserve_agent.exporter import Exporter, PacketCounts
from reserve_agent.hooks.loader import HookSettings, NodeHooks

NODES = 32
_STEP_SECONDS = 0.1
_CONFIGURED = PoolConfigured(
    total=0, reserve=0, clean=0, computed=0, policy="memalloc", metrics_port=0
)
# What a node sees that takes part in everything, under pressure too.
_SEEN = {
    (hook, cls, reason): (1000, 1000)
    for hook in Hook
    for cls in PacketClass
    for reason in (Reason.GRANTED, Reason.FROM_RESERVE)
}


def exporter_of(hooks: NodeHooks) -> Exporter:
    """An exporter as the agent makes it, with the series of a run in which much has happened."""

    def packets() -> PacketCounts:
        return {**_SEEN, **hooks.counters()}

    exporter = Exporter(
        "n1", "abcd", "control", packets, lambda name: int(getattr(hooks.pool, name))
    )
    exporter.observe(_CONFIGURED)
    for number in range(2, NODES + 1):
        exporter.observe(HeartbeatMissed(t=0, peer=f"n{number}", deadline=0))
    return exporter


def main() -> None:
    """Serve until this process is killed."""
    hooks = NodeHooks()
    hooks.configure(HookSettings(Policy.MEMALLOC))
    exporter = exporter_of(hooks)
    peers = [f"n{number}" for number in range(2, NODES + 1)]
    port = exporter.serve()
    partial = Path(sys.argv[1] + ".part")
    partial.write_text(str(port))
    partial.rename(sys.argv[1])
    while True:
        time.sleep(_STEP_SECONDS)
        exporter.observe(HeartbeatSent(t=0, peers=len(peers)))
        counts = dict.fromkeys(peers, 1)
        exporter.observe(HeartbeatReceived(t=0, counts=counts, malformed=0, late=0))
        exporter.observe(WriteAcknowledged(t=2_000_000, submitted=0))


if __name__ == "__main__":
    main()
