"""From content to one file: template, styles, scripts and data in it, nothing outside of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reserve_agent.errors import BadInput

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


def page(content: Mapping[str, Any]) -> str:
    """Return the page as text."""
    found: str = _template().render(
        **content,
        style=_joined(_STYLES),
        script=Markup(f"/* uPlot:\n{_joined(_LICENCE)}*/\n{_joined(_SCRIPTS)}"),  # noqa: S704 - our own files
        data=as_data(content["charts"]),
    )
    return found


def write(text: str, path: Path) -> None:
    """Write the page; it appears whole or not at all.

    Raises:
        BadInput: It cannot be written there.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot write the report ({error.strerror})") from error


def as_data(value: object) -> Markup:
    """JSON that may stand in a script element, whatever texts are in it."""
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
