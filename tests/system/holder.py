"""A process that holds all a run holds, to be killed: its id, a cluster, cgroups, pins, daemons.

Run as ``python -m tests.system.holder SWITCH SCRATCH``; prints its id, then ``up``.
"""

import signal
import sys
from pathlib import Path

from crunchbed.host.run_ids import RunClaim
from nodes.cgroup import NodeCgroup
from nodes.process import Process, spawn
from nodes.waiting import wait_until
from topologies.cluster import Cluster

BPFFS = Path("/sys/fs/bpf")


def main() -> None:
    switch, scratch = sys.argv[1:]
    with RunClaim.claim() as state:
        print(state.run_id, flush=True)  # noqa: T201
        with Cluster(state.run_id, nodes=2, switch=switch) as cluster:  # type: ignore[arg-type]
            pins = BPFFS / f"crunchbed-{state.run_id}"
            daemons: list[Process] = []
            for node in cluster.nodes.values():
                cgroup = NodeCgroup(state.run_id, node.name)
                cgroup.create()
                if BPFFS.is_mount():
                    (pins / node.name).mkdir(parents=True)
                # The shell dies with us, but the sleeps are no children of ours.
                daemon = spawn(
                    ["sh", "-c", "sleep 601 & sleep 602 & echo ready; wait"],
                    name=f"{node.name} daemon",
                    log=Path(scratch) / node.name,
                    netns_pid=node.pid,
                    cgroup=cgroup.path,
                )
                state.add_process(daemon)
                daemons.append(daemon)
            for daemon in daemons:
                wait_until(lambda: daemon.last_words() == "ready", 10, daemon.name)  # noqa: B023
            print("up", flush=True)  # noqa: T201
            signal.pause()


if __name__ == "__main__":
    main()
