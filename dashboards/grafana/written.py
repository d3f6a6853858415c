"""The dashboards as they are committed."""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards.grafana.comparison import comparison
from dashboards.grafana.health import health
from dashboards.grafana.node import node
from dashboards.grafana.overview import overview


def built() -> list[Dashboard]:
    """All dashboards. Panels have ids, so that a link to one stays good."""
    made = [one().build() for one in (overview, node, comparison, health)]
    for each in made:
        panels = [panel for panel in each.panels or [] if isinstance(panel, Panel)]
        for number, panel in enumerate(panels, start=1):
            panel.id_val = number
    return made


def texts() -> dict[str, str]:
    """Content by the file's name."""
    return {
        f"{each.uid}.json": json.dumps(each, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for each in built()
    }
