"""Writes the dashboards: ``python -m dashboards.grafana``."""

from __future__ import annotations

from dashboards.grafana import OUTPUT
from dashboards.grafana.written import texts


def main() -> None:
    """Write every dashboard, and remove files of dashboards that no longer exist."""
    made = texts()
    OUTPUT.mkdir(exist_ok=True)
    for path in OUTPUT.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (OUTPUT / name).write_text(text)


if __name__ == "__main__":
    main()
