"""One run without a directory, a report or a verdict: for those who make thousands.

Only a backend whose world writes nothing but events can do it: the simulation.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

import orjson

from crunchbed.history.history import History, no_collector
from crunchbed.history.recorder import MemoryRecorder
from crunchbed.run.engine import Request, execute
from crunchbed.run.progress import Progress
from crunchbed.run.start import ready_backend, started
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.run import PhaseBegan

_NOWHERE: Final = Path(os.devnull)
"""The run directory."""


@no_collector()
def history_of(scenario: Scenario, seed: int) -> History:
    """Make one run and return its history, in the order of a merged one.

    The history has no ``part.closed`` and is not audited: no file could be damaged.

    Args:
        scenario: As resolved, for the backend ``simulation``.
        seed: Decides everything that the scenario leaves to chance.

    Raises:
        BadInput: The scenario's backend cannot do it.
        RunInvalid: The cluster did not come up, or there was nothing that a fault could hit.
        KeyboardInterrupt: A signal asked for the end.
    """
    parts: dict[str, list[Event]] = {}
    progress = Progress()
    backend = ready_backend(scenario)
    with backend.claim(scenario, seed, progress) as site:
        recorder = MemoryRecorder("run", site.loop.now_ns, parts)
        recorder.record(PhaseBegan(name="start"))
        with started(site, scenario, _NOWHERE, recorder, progress) as run:
            execute(Request(scenario, seed, on_file=False), run)
    history = History(_merged(parts))
    history.audited = ()
    return history


def _merged(parts: Mapping[str, Sequence[Event]]) -> list[Event]:
    """Return all events by time; those of one time by the names of the parts' files."""
    names = sorted(parts, key=lambda name: f"{name}.jsonl")
    return sorted((event for name in names for event in parts[name]), key=attrgetter("t"))


def digest(history: History) -> str:
    """Return the SHA-256 of the lines that a history has on file, ``part.closed`` left out."""
    lines = hashlib.sha256()
    for event in history.events:
        lines.update(orjson.dumps(event.record()) + b"\n")
    return lines.hexdigest()
