"""Every expression of the committed dashboards, and what Grafana would make of its variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.grafana import OUTPUT

SELECTOR = re.compile(r"\b((?:crunchbed_|scrape_|up\b)\w*)(?:\{([^}]*)\})?")
"""A metric of an expression, and its label matchers."""
PARTS = ("_bucket", "_sum", "_count")


@dataclass(frozen=True)
class Asked:
    """One expression of a dashboard.

    Attributes:
        where: dashboard and panel, or dashboard and annotation.
        expr: with Grafana's variables in it.
        instant: asked at the end of the time range only.
        mark: whether it is an annotation's.
    """

    where: str
    expr: str
    instant: bool = False
    mark: bool = False

    def filled(self, variables: Mapping[str, str]) -> str:
        """The expression as Grafana would send it.

        Raises:
            KeyError: it has a variable that nobody gives.
        """
        return re.sub(r"\$(\w+)", lambda found: variables[found[1]], self.expr)


def dashboards() -> dict[str, dict[str, Any]]:
    """The committed dashboards by uid."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(OUTPUT.glob("*.json"))}


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Everything with queries, so no rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def asked() -> Iterator[Asked]:
    """All expressions of all panels and annotations."""
    for uid, board in dashboards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                where = f"{uid}/{panel['title']}/{target['refId']}"
                yield Asked(where, target["expr"], bool(target["instant"]))
        for mark in board["annotations"].get("list", []):
            yield Asked(f"{uid}/{mark['name']}", mark["expr"], mark=True)
