"""From run directories to rows of tables; a run directory is one with a ``result.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from crunchbed.checks.figures import NAMES, Figures, spec_of
from crunchbed.checks.result import Result
from crunchbed.report.html.repeat import flat, text_of
from reserve_agent.errors import BadInput

Row = dict[str, Any]


def column_of(figure: str) -> str:
    """Return a figure's name as a column: SQL would read the part before a point as a table."""
    return figure.replace("misses_by_cause.", "misses_")


FIGURE_COLUMNS: Final = {
    column_of(name): "BIGINT" if spec_of(name).whole else "DOUBLE" for name in NAMES
}
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "runs": {
        "path": "VARCHAR",
        "started": "TIMESTAMP",
        "scenario": "VARCHAR",
        "policy": "VARCHAR",
        "flags": "VARCHAR",
        "seed": "BIGINT",
        "backend": "VARCHAR",
        "switch": "VARCHAR",
        "kernel": "VARCHAR",
        "nic": "VARCHAR",
        "verdict": "VARCHAR",
        "reasons": "VARCHAR",
        "duration_seconds": "DOUBLE",
        "host_kernel": "VARCHAR",
        "version": "VARCHAR",
        **FIGURE_COLUMNS,
    },
    "nodes": {"path": "VARCHAR", "node": "VARCHAR", **FIGURE_COLUMNS},
    "packets": {
        "path": "VARCHAR",
        "node": "VARCHAR",
        "class": "VARCHAR",
        "verdict": "VARCHAR",
        "reason": "VARCHAR",
        "packets": "BIGINT",
    },
    "settings": {"path": "VARCHAR", "key": "VARCHAR", "value": "VARCHAR"},
}
"""Columns of each table, with DuckDB's types."""


def run_directories(root: Path) -> list[Path]:
    """Return every run directory below ``root``, no hidden ones; BadInput without a ``root``."""
    if not root.is_dir():
        raise BadInput(f"{root}: expected a directory of runs; `crunchbed run` makes one")
    found = (path.parent for path in root.rglob("result.json"))
    return sorted(
        path
        for path in found
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def rows(directory: Path) -> Iterator[tuple[str, Row]]:
    """Yield all rows of a run, each with the name of its table; BadInput for a malformed result."""
    result, path = Result.read(directory / "result.json"), str(directory)
    yield "runs", _run(result, directory) | {"path": path} | _figures(result.totals)
    for node, figures in result.nodes.items():
        yield "nodes", {"path": path, "node": node} | _figures(figures)
        for cls, verdicts in figures.packets.items():
            for verdict, reasons in verdicts.items():
                for reason, count in reasons.items():
                    row = {"class": cls, "verdict": verdict, "reason": reason, "packets": count}
                    yield "packets", {"path": path, "node": node} | row
    for key, value in flat(_json(directory / "scenario.json")):
        if value is not None:
            yield "settings", {"path": path, "key": key, "value": text_of(value)}


def _run(result: Result, directory: Path) -> Row:
    return {
        "started": _started(directory),
        "scenario": result.scenario,
        "policy": result.policy,
        "flags": ",".join(result.flags),
        "seed": result.seed,
        "backend": result.backend,
        "switch": result.switch,
        "kernel": result.kernel,
        "nic": result.nic,
        "verdict": result.verdict,
        "reasons": "; ".join(result.reasons),
        "duration_seconds": result.duration_seconds,
        "host_kernel": result.versions.get("kernel"),
        "version": result.versions.get("crunchbed"),
    }


def _started(directory: Path) -> str | None:
    clock = _json(directory / "run.json").get("clock", {})
    if not isinstance(clock.get("unix_ns"), int):
        return None
    return datetime.fromtimestamp(clock["unix_ns"] / 1e9, UTC).replace(tzinfo=None).isoformat()


def _figures(figures: Figures) -> Row:
    return {column_of(name): figures.value(name) for name in NAMES}


def _json(path: Path) -> dict[str, Any]:
    """Return the object in a file; empty without the file, which an aborted run may lack."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
