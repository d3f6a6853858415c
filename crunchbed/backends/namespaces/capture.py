"""Packet captures: one file for each switch port, written beside the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from nodes.process import Process, spawn
from nodes.waiting import wait_until
from reserve_agent.errors import RunInvalid
from topologies.node import ClusterNode

FOLDER: Final = "captures"
SNAP_BYTES: Final = 128
"""Bytes that are kept of a packet: headers and whole heartbeats, not the data of writes."""

_READY_SECONDS: Final = 10.0
_END_SECONDS: Final = 5.0


def capture(
    nodes: Iterable[ClusterNode], out: Path, cgroup: Path, started: Callable[[Process], None]
) -> ExitStack:
    """Record the packets of all switch ports until the returned stack is closed.

    Args:
        nodes: Whose ports.
        out: The run directory; ``captures/<node>.pcap``, and ``<node>-2.pcap`` of a second link.
        cgroup: For the recorders.
        started: Told of every recorder.

    Raises:
        RunInvalid: A recorder ended at once; with its last words.
    """
    folder = out / FOLDER
    folder.mkdir()
    with ExitStack() as undo:
        processes = []
        for node in nodes:
            for number, port in enumerate(node.switch_ports, 1):
                name = node.name if number == 1 else f"{node.name}-{number}"
                process = _record(name, port, folder, out / "logs", cgroup)
                undo.callback(process.terminate, _END_SECONDS)
                started(process)
                processes.append(process)
        wait_until(
            lambda: all(_listens(process) for process in processes),
            _READY_SECONDS,
            "packets are recorded",
        )
        return undo.pop_all()


def _record(name: str, port: str, folder: Path, logs: Path, cgroup: Path) -> Process:
    # As root (-Z), whose the run directory is; each packet at once (-U), for a run may be killed.
    limits = ("-s", str(SNAP_BYTES), "-Z", "root", "-U", "-n")
    argv = ["tcpdump", "-i", port, *limits, "-w", str(folder / f"{name}.pcap")]
    log = logs / f"{name}-capture.log"
    return spawn(argv, name=f"{name} capture", log=log, netns_pid=None, cgroup=cgroup)


def _listens(process: Process) -> bool:
    if process.poll() is not None:
        raise RunInvalid(f"{process.name} ended: {process.last_words()}")
    return "listening on" in process.log.read_text(errors="replace")
