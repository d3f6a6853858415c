"""Gathering the facts of an audit: from the agents of live runs, or from a cluster of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from crunchbed.history.recorder import Recorder
from crunchbed.host.run_ids import RecordedProcess
from crunchbed.host.scratch import keep, scratch
from crunchbed.live import runs
from crunchbed.live.audit import AuditedNode, AuditedRun, Facts, User, audit_node
from crunchbed.run.backend import Backend
from crunchbed.run.progress import Progress
from crunchbed.run.signals import ended_by_signals, interruptible
from crunchbed.run.start import HEALTHY_SECONDS, claimed, ready_backend, started
from crunchbed.scenario.schema import Scenario
from nodes.process import PROC
from reserve_agent.errors import BadInput, CrunchbedError

_AUDITED: Final = "namespaces"


def audit_live_runs() -> list[AuditedRun]:
    """Audit every live run of this machine; a run that ends meanwhile is left out.

    ``problem`` of a run says why its agents do not answer, as those of an older version.
    """
    audited = []
    for run in runs.live_runs():
        try:
            audited.append(audit_run(run))
        except CrunchbedError as error:
            if run in runs.live_runs():
                audited.append(AuditedRun(run, (), str(error)))
    return audited


def audit_run(run: str) -> AuditedRun:
    """Audit one run, by asking every agent of it."""
    nodes = sorted(runs.nodes_of(run), key=lambda name: (len(name), name))
    record = runs.record_of(run)
    processes = () if record is None else record.processes
    return AuditedRun(run, tuple(_audit(run, node, processes) for node in nodes))


def _audit(run: str, node: str, processes: Sequence[RecordedProcess]) -> AuditedNode:
    facts = Facts.from_message(runs.ask(run, node, "audit"))
    users = _users(node, {one.inode for one in facts.sockets}, processes)
    return audit_node(node, facts, users)


def _users(node: str, inodes: set[int], processes: Sequence[RecordedProcess]) -> dict[int, User]:
    """Return who has the sockets with these inodes: the node's own daemons, or any process."""
    daemons = {
        process.pid: process.name.removeprefix(f"{node} ")
        for process in processes
        if process.name.startswith(f"{node} ") and process.is_alive()
    }
    users: dict[int, User] = {}
    for pid, daemon in daemons.items():
        for inode in inodes & _sockets_of(pid):
            users[inode] = User(pid, f"{node} {daemon}", daemon)
    others = inodes - users.keys() - {0}
    pids = (int(path.name) for path in PROC.iterdir() if path.name.isdigit()) if others else ()
    for pid in pids:
        for inode in others & _sockets_of(pid):
            users.setdefault(inode, User(pid, _command(pid)))
    return users


def _sockets_of(pid: int) -> set[int]:
    """Return the inodes of a process's sockets; none where the process is gone."""
    found = set()
    with suppress(OSError):
        for entry in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                kind, _, rest = str(entry.readlink()).partition(":[")
                if kind == "socket":
                    found.add(int(rest.rstrip("]")))
    return found


def _command(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return "a process"


def observe(scenario: Scenario, seconds: float, progress: Progress) -> AuditedRun:
    """Start the scenario's cluster, watch it for ``seconds`` without a fault, audit it, end it.

    BadInput: no hooks see the packets of its nodes. MissingRequirement: nothing was started.
    RunInvalid: it did not come up; its logs are named.
    """
    if (kind := scenario.cluster.backend) != _AUDITED:
        raise BadInput(f"cluster.backend: expected {_AUDITED}, whose hooks see packets, got {kind}")
    backend = ready_backend(scenario)
    with ended_by_signals(), scratch("audit") as place:
        try:
            return _observe(backend, scenario, seconds, place / "run", progress)
        except CrunchbedError as error:
            keep(place)
            raise type(error)(f"{error}; logs are in {place}") from error


def _observe(
    backend: Backend, scenario: Scenario, seconds: float, out: Path, progress: Progress
) -> AuditedRun:
    with interruptible(), claimed(backend, scenario, 1, out, progress) as (site, directory):
        file = directory / "history" / "run.jsonl"
        with closing(Recorder(file, site.loop.now_ns)) as recorder:
            progress.phase("start", None)
            with started(site, scenario, directory, recorder, progress) as run:
                run.supervisor.require_health(HEALTHY_SECONDS)
                progress.phase("observe", seconds)
                run.supervisor.wait(seconds)
                return audit_run(site.run_id)
