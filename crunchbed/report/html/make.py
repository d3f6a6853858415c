"""Makes the reports: of a run, of a comparison, or of whatever a directory holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crunchbed.history.history import no_collector
from crunchbed.report.html import comparison_page, render, run_page, source
from crunchbed.report.html.source import Recorded


def write_run(run: Recorded, path: Path) -> Path:
    """Write the report of a run that is read already; returns ``path``.

    Raises:
        BadInput: It cannot be written.
    """
    return _write(run_page.content(run), path)


def write(directory: Path, path: Path) -> Path:
    """Write the report of the run, or of the comparison, in ``directory``, to ``path``.

    Raises:
        BadInput: There is neither, it cannot be read, or the report cannot be written.
    """
    with no_collector():
        if source.is_run(directory):
            return _write(run_page.content(source.read_run(directory)), path)
        variants = comparison_page.gather(source.read_runs(directory))
        return _write(comparison_page.content(variants), path)


def _write(content: dict[str, Any], path: Path) -> Path:
    render.write(render.page(content), path)
    return path
