"""Packet captures: one file for each switch port, written beside the history."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from crunchbed.backends.common.live_run import LiveRun
from nodes.process import Process
from nodes.waiting import wait_until
from reserve_agent.errors import RunInvalid
from topologies.node import ClusterNode

FOLDER: Final = "captures"
SNAP_BYTES: Final = 128
"""Bytes that are kept of a packet: headers and whole heartbeats, not the data of writes."""

_READY_SECONDS: Final = 10.0
_END_SECONDS: Final = 5.0


def capture(run: LiveRun, nodes: Iterable[ClusterNode], cgroup: Path) -> ExitStack:
    """Record the packets of all switch ports of nodes until the returned stack is closed.

    The run's directory gets ``captures/<node>.pcap``, and ``<node>-2.pcap`` of a second link.

    Raises:
        RunInvalid: A recorder ended at once; with its last words.
    """
    folder = run.out / FOLDER
    folder.mkdir()
    with ExitStack() as undo:
        processes = []
        for node in nodes:
            for number, port in enumerate(node.switch_ports, 1):
                name = node.name if number == 1 else f"{node.name}-{number}"
                process = _record(run, name, port, cgroup)
                undo.callback(process.terminate, _END_SECONDS)
                processes.append(process)
        wait_until(
            lambda: all(_listens(process) for process in processes),
            _READY_SECONDS,
            "packets are recorded",
        )
        return undo.pop_all()


def _record(run: LiveRun, name: str, port: str, cgroup: Path) -> Process:
    # As root (-Z), whose the run directory is; each packet at once (-U), for a run may be killed;
    # no buffer in front of tcpdump (--immediate-mode), whose last second would be lost.
    limits = ("-s", str(SNAP_BYTES), "-Z", "root", "-U", "-n", "--immediate-mode")
    file = run.out / FOLDER / f"{name}.pcap"
    command = ["tcpdump", "-i", port, *limits, "-w", str(file)]
    return run.spawn(f"{name} capture", command, cgroup=cgroup)


def _listens(process: Process) -> bool:
    if process.poll() is not None:
        raise RunInvalid(f"{process.name} ended: {process.last_words()}")
    return "listening on" in process.log.read_text(errors="replace")
