"""Grafana dashboards, generated: ``python -m dashboards.grafana`` writes ``json/``."""

from __future__ import annotations

from pathlib import Path

OUTPUT = Path(__file__).parent / "json"
"""Where the generated dashboards are, one file each, named by uid."""
