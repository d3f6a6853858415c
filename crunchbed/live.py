"""Finding live runs of this machine, and talking to their agents."""

from __future__ import annotations

from pathlib import Path

from crunchbed.runid import STATE_ROOT, RunRecord, is_alive
from reserve_agent.errors import BadInput
from reserve_agent.lines import LineClient, Message

_AGENT_SUFFIX = ".agent"


def live_runs(root: Path = STATE_ROOT) -> list[str]:
    """Ids of the runs that go on."""
    if not root.is_dir():
        return []
    records = (RunRecord.read(path) for path in sorted(root.iterdir()) if path.is_dir())
    return [record.id for record in records if record is not None and is_alive(record)]


def choose_run(wanted: str | None, root: Path = STATE_ROOT) -> str:
    """The run that is meant: the one named, or the only one.

    Raises:
        BadInput: There is none, or more than one.
    """
    runs = live_runs(root)
    if wanted is not None and wanted not in runs:
        known = ", ".join(runs) or "none"
        raise BadInput(f"no live run {wanted!r}; live runs: {known}")
    if wanted is not None:
        return wanted
    if not runs:
        raise BadInput("no run is going on; start one from another terminal: `crunchbed run ...`")
    if len(runs) > 1:
        raise BadInput(f"several runs are going on: say which with --run ({', '.join(runs)})")
    return runs[0]


def nodes_of(run: str, root: Path = STATE_ROOT) -> list[str]:
    """The nodes of a live run."""
    return sorted(path.stem for path in (root / run).glob(f"*{_AGENT_SUFFIX}"))


def ask(run: str, node: str, op: str, root: Path = STATE_ROOT, **fields: object) -> Message:
    """Ask a node's agent.

    Raises:
        BadInput: The run has no such node.
        CrunchbedError: The agent does not answer, or refuses.
    """
    nodes = nodes_of(run, root)
    if node not in nodes:
        raise BadInput(
            f"no node {node!r} in run {run}; its nodes: {', '.join(nodes) or 'none yet'}"
        )
    client = LineClient(root / run / f"{node}{_AGENT_SUFFIX}")
    try:
        return client.ask(op=op, **fields)
    finally:
        client.close()
