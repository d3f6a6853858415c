"""Grafana dashboards, generated: ``python -m dashboards.grafana`` writes ``json/``."""

from __future__ import annotations

from pathlib import Path

OUTPUT = Path(__file__).parent / "json"
"""Directory of the generated dashboards: one file each, named by uid."""
