"""The state of a live run: asked of its agents, and of the run itself if it is held open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from crunchbed.live import runs
from reserve_agent.errors import CrunchbedError


class NodeSummary(BaseModel, frozen=True):
    """One node; a page is 4 KiB.

    ``up``, ``boots``, ``link`` and ``crunch`` are those of a held run, and unknown in others. The
    rest is known while the node's agent answers, which ``agent`` says.
    """

    agent: bool
    up: bool | None = None
    boots: int = 0
    link: str | None = None
    crunch: str | None = None
    policy: str | None = None
    pressure: bool | None = None
    pressure_ns: int = 0
    pressure_episodes: int = 0
    free_pages: int | None = None
    reserve_pages: int | None = None
    dirty_pages: int | None = None
    low_water_pages: int | None = None
    misses: int = 0
    view: tuple[str, ...] = ()
    serving: bool = False
    daemons: tuple[str, ...] = ()


class RunSummary(BaseModel, frozen=True):
    """One run; ``phase``, ``seconds`` (since it is up) and ``switch`` are known of a held run."""

    run: str
    scenario: str
    held: bool
    phase: str | None = None
    seconds: float | None = None
    switch: str | None = None
    storage_link: str | None = None
    directory: str | None
    nodes: dict[str, NodeSummary]


def read_summary(run: str) -> RunSummary:
    """Ask a held run, and the agents of any; CrunchbedError where a held run does not answer."""
    told = runs.tell(run, "status") if runs.is_held(run) else {}
    known: Mapping[str, Any] = told.get("nodes", {})
    names = sorted({*runs.nodes_of(run), *known}, key=lambda name: (len(name), name))
    directory = runs.directory_of(run)
    return RunSummary(
        run=run,
        scenario=_scenario(directory),
        held=bool(told),
        phase=told.get("phase"),
        seconds=told.get("seconds"),
        switch=told.get("switch"),
        storage_link=told["storage"]["link"] if told else None,
        directory=None if directory is None else str(directory),
        nodes={name: _node(run, name, known.get(name, {})) for name in names},
    )


def _scenario(directory: Path | None) -> str:
    try:
        record = orjson.loads(((directory or Path()) / "scenario.json").read_bytes())
        return str(record["name"])
    except (OSError, ValueError, KeyError):
        return "unknown"


def _node(run: str, name: str, known: Mapping[str, Any]) -> NodeSummary:
    try:
        told = runs.ask(run, name, "status")
    except CrunchbedError:
        return NodeSummary(agent=False, **known)
    pool = told["pool"]
    return NodeSummary(
        agent=True,
        policy=told["policy"],
        pressure=bool(pool["pressure"]),
        pressure_ns=pool["pressure_ns"],
        pressure_episodes=pool["pressure_episodes"],
        free_pages=pool["free"],
        reserve_pages=pool["reserve"],
        dirty_pages=pool["dirty"],
        low_water_pages=pool["low_water"],
        misses=told["misses"],
        view=tuple(told["view"]),
        serving=told["serving"],
        daemons=tuple(sorted(told["ready"])),
        **known,
    )
