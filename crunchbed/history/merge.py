"""Makes one history of its parts, and says whether each part is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from crunchbed.history.history import content_of, events_of, lines_of, no_collector
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.run import PartClosed
from reserve_agent.errors import BadInput
from reserve_agent.files import whole
from reserve_agent.part import PartSum


def merge(paths: Iterable[Path], out: Path) -> dict[str, Any]:
    """Write the events of several parts into one file, sorted by time.

    ``out`` appears whole or not. A line that is no event is left out, and damage of its part.

    Returns:
        What ``run.json`` says of the history: number of ``events``, ``sha256`` of the file, and
        for each of the ``parts`` the same, with its ``damage``: why it is not whole, or None.

    Raises:
        BadInput: a file cannot be read.
    """
    timed: list[tuple[int, bytes]] = []
    parts: dict[str, Any] = {}
    with no_collector():
        for path in paths:
            events, lines, torn = sound(path)
            parts[path.stem] = _described(events, lines, torn)
            timed += ((event.t, line) for event, line in zip(events, lines, strict=True))
        timed.sort(key=itemgetter(0))
    content = b"".join(line + b"\n" for _, line in timed)
    with whole(out) as partial, partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    digest = hashlib.sha256(content).hexdigest()
    return {"format": 2, "events": len(timed), "sha256": digest, "parts": parts}


def sound(path: Path) -> tuple[list[Event], list[bytes], str | None]:
    """Return the events of a part, their lines, and why others are no events; None: all are.

    A last line that is cut, since its writer was killed, is none of the others.

    Raises:
        BadInput: the file cannot be read.
    """
    lines = lines_of(content_of(path))
    try:
        return events_of(path, lines), lines, None
    except BadInput:
        events: list[Event] = []
        kept: list[bytes] = []
        torn: list[int] = []
        for number, line in enumerate(lines, 1):
            try:
                events += events_of(path, [line])
                kept.append(line)
            except BadInput:
                torn.append(number)
        return events, kept, f"{len(torn)} of its lines are no events, the first is line {torn[0]}"


def _described(events: Sequence[Event], lines: Sequence[bytes], torn: str | None) -> dict[str, Any]:
    """Return what one part holds, and whether that is what its keeper says."""
    found = PartSum()
    for event, line in zip(events[:-1], lines, strict=False):
        found.add(event.id, event.kind, line + b"\n")
    last, held = events[-1] if events else None, found.closing()
    damage = torn or _why_not_whole(last, held)
    return {"events": len(events), "sha256": held.sha256, "damage": damage}


def _why_not_whole(last: Event | None, held: PartClosed) -> str | None:
    """Return why a part is not what its keeper has closed."""
    if not isinstance(last, PartClosed):
        return "it was not closed"
    if last.writers != held.writers or last.kinds != held.kinds:
        return "it does not hold the events that were counted when it was closed"
    if last.sha256 != held.sha256:
        return "its digest is not the one that was written when it was closed"
    return None
