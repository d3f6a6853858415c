"""Finds live runs of this machine, and talks to them and to their agents."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from crunchbed.host.run_ids import STATE_ROOT, RunRecord
from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.lines.client import LineClient
from reserve_agent.lines.framing import Message

COMING_UP: Final = "coming up"
"""State of a link that was set up and passes nothing yet, in the status of a held run."""

_AGENT_SUFFIX = ".agent"
_ATTENDANT: Final = ".attendant.json"
CONSOLE: Final = ".console"
"""Of the Unix socket of a machine's second serial port, after the node's name."""
RUN_SOCKET: Final = "run"  # in the state directory of a run that takes commands
POWER: Final = "power"
"""In the run's state directory, after a node's name: the number of the boot, while there is power.

It goes before what runs on the node is killed. So who joins the node's cgroup and finds the file
afterwards is killed when the power goes.
"""

_TELL_SECONDS = 30.0  # a run that cuts a node off answers when it is cut off


def live_runs() -> list[str]:
    """Return the ids of the runs that go on."""
    if not STATE_ROOT.is_dir():
        return []
    records = (RunRecord.read(path) for path in sorted(STATE_ROOT.iterdir()) if path.is_dir())
    return [record.id for record in records if record is not None and record.owner.is_alive()]


def choose_run(wanted: str | None) -> str:
    """Return the run that is named, or the only one; BadInput where there is none, or several."""
    runs = live_runs()
    if wanted is not None:
        if wanted not in runs:
            raise BadInput(f"no live run {wanted!r}; live runs: {', '.join(runs) or 'none'}")
        return wanted
    if not runs:
        raise BadInput("no run is going on; start one from another terminal: `crunchbed up ...`")
    if len(runs) > 1:
        raise BadInput(f"several runs are going on: say which with --run ({', '.join(runs)})")
    return runs[0]


def nodes_of(run: str) -> list[str]:
    """Return the names of the nodes of a live run that have an agent."""
    return sorted(path.stem for path in (STATE_ROOT / run).glob(f"*{_AGENT_SUFFIX}"))


def ask(run: str, node: str, op: str, **fields: object) -> Message:
    """Ask a node's agent, and return its answer.

    BadInput: the run has no such node. CrunchbedError: the agent does not answer, or refuses.
    """
    _require_node(run, node)
    with closing(LineClient(STATE_ROOT / run / f"{node}{_AGENT_SUFFIX}")) as client:
        return client.ask(op=op, **fields)


def _require_node(run: str, node: str) -> None:
    nodes = nodes_of(run)
    if node not in nodes:
        known = ", ".join(nodes) or "none yet"
        raise BadInput(f"no node {node!r} in run {run}; its nodes: {known}")


class Place(NamedTuple):
    """Where a host's processes run.

    Attributes:
        pid: A process in its network namespace.
        cgroup: Its cgroup.
        power: A file that says which boot of the host goes on; there is none without power.
    """

    pid: int
    cgroup: Path
    power: Path


def is_held(run: str) -> bool:
    """Whether a run takes commands, as one does that `crunchbed up` holds open."""
    return (STATE_ROOT / run / RUN_SOCKET).is_socket()


def tell(run: str, op: str, **fields: object) -> Message:
    """Give a held run a command, and return its answer.

    BadInput: the run takes no commands, or refuses this one. CrunchbedError: it has ended, does not
    answer, or could not do it.
    """
    if not is_held(run):
        if run not in live_runs():
            raise CrunchbedError(f"run {run} has ended")
        directory = directory_of(run)
        if directory is not None and not (directory / "run.json").exists():
            raise BadInput(f"run {run} is still starting; `crunchbed up --detach` returns when up")
        raise BadInput(f"run {run} takes no commands: `crunchbed up` does, from when it is up on")
    with closing(LineClient(STATE_ROOT / run / RUN_SOCKET, _TELL_SECONDS)) as client:
        reply = client.ask(op=op, **fields)
    if "refused" in reply:
        raise BadInput(str(reply["refused"]))
    return reply


def record_of(run: str) -> RunRecord | None:
    """Return the record of a run; None where it is missing or makes no sense."""
    return RunRecord.read(STATE_ROOT / run)


def directory_of(run: str) -> Path | None:
    """Return the run directory of a live run; None where it has none yet."""
    record = record_of(run)
    return None if record is None else record.directory


def place_of(run: str, node: str) -> Place:
    """Return where a node of a live run is; of a held run also ``storage``, the storage host.

    BadInput: the run has no such node. CrunchbedError: the run does not answer.
    """
    if node == "storage" and is_held(run):
        told = tell(run, "status")["storage"]
    else:
        _require_node(run, node)
        settings = orjson.loads((STATE_ROOT / run / f"{node}{_AGENT_SUFFIX}.json").read_bytes())
        told = {"pid": settings["netns_pid"], "cgroup": settings["cgroup"]}
    return Place(int(told["pid"]), Path(told["cgroup"]), STATE_ROOT / run / f"{node}.{POWER}")


def is_machine(run: str, node: str) -> bool:
    """Return whether a node of a live run is a virtual machine."""
    return (STATE_ROOT / run / f"{node}{_ATTENDANT}").exists()


def console_of(run: str, node: str) -> Path:
    """Return the Unix socket of a machine's console.

    BadInput: the run is not held open, and so no guest has a shell that would take its memory.
    """
    if not is_held(run):
        raise BadInput(f"{node} has a console while `crunchbed up` holds its cluster open")
    return STATE_ROOT / run / f"{node}{CONSOLE}"


def boot_of(place: Place) -> str | None:
    """Return which boot of a host goes on; None while the host has no power."""
    try:
        return place.power.read_text()
    except OSError:
        return None
