"""Makes the report of a run or of a comparison: one HTML file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from crunchbed.history.damaged import blamed_on
from crunchbed.history.history import no_collector
from crunchbed.report.html import comparison_page, run_page, source
from crunchbed.report.html.source import Recorded
from reserve_agent.errors import BadInput
from reserve_agent.files import write_bytes

_PAGE: Final = Path(__file__).with_name("page")
_LICENCE: Final = ("uPlot.LICENSE",)
_STYLES: Final = ("uPlot.min.css", "page.css")
_SCRIPTS: Final = (
    "uPlot.iife.min.js",
    "common.js",
    "timeline.js",
    "curves.js",
    "spread.js",
    "page.js",
)


def write_run(run: Recorded, path: Path) -> Path:
    """Write the report of a run that is read already; BadInput where it cannot be written."""
    return _write(run_page.content(run), path)


def write(directory: Path, path: Path) -> Path:
    """Write the report of a run or a comparison; return ``path``. BadInput: it cannot be made."""
    with no_collector(), blamed_on(directory):
        if source.is_run(directory):
            return _write(run_page.content(source.read_run(directory)), path)
        variants = comparison_page.gather(source.read_runs(directory))
        return _write(comparison_page.content(variants), path)


def page(content: Mapping[str, Any]) -> str:
    """Return a page as text: template, styles, scripts and data, and nothing outside of it."""
    found: str = _template().render(
        **content,
        style=_joined(_STYLES),
        script=Markup(f"/* uPlot:\n{_joined(_LICENCE)}*/\n{_joined(_SCRIPTS)}"),  # noqa: S704 - our own files
        data=as_data(content["charts"]),
    )
    return found


def _write(content: Mapping[str, Any], path: Path) -> Path:
    """Write a page; the file appears whole or not at all."""
    text = page(content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode())
    except OSError as error:
        raise BadInput(f"{path}: cannot write the report ({error.strerror})") from error
    return path


def as_data(value: object) -> Markup:
    """Return JSON that is safe inside of a script element, whatever texts it has."""
    return Markup(orjson.dumps(value).decode().replace("<", "\\u003c"))  # noqa: S704 - no markup in it


@cache
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


@cache
def _joined(names: tuple[str, ...]) -> Markup:
    texts = [(_PAGE / name).read_text(encoding="utf-8") for name in names]
    return Markup("\n".join(texts))  # noqa: S704 - our own files
