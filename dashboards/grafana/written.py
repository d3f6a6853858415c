"""The dashboards as JSON text, which is what is committed."""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards.grafana.comparison import comparison
from dashboards.grafana.health import health
from dashboards.grafana.node import node
from dashboards.grafana.overview import overview


def built() -> list[Dashboard]:
    """All dashboards. Panels are numbered, so that a link to a panel stays valid."""
    made = [one().build() for one in (overview, node, comparison, health)]
    for each in made:
        panels = [panel for panel in each.panels or [] if isinstance(panel, Panel)]
        for number, panel in enumerate(panels, start=1):
            panel.id_val = number
    return made


def texts() -> dict[str, str]:
    """The JSON text of every dashboard, by the name of its file."""
    return {
        f"{each.uid}.json": json.dumps(each, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for each in built()
    }
