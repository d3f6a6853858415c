"""docs/memalloc-sockets.md has the tables that the command asks, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.report.risk_tables import tables

PAGE = (Path(__file__).parents[2] / "docs" / "memalloc-sockets.md").read_text()
TABLES = tables()


def on_the_page(heading: str) -> str:
    """Return the whole table of the page whose first heading is this one."""
    lines = PAGE.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    last = next(at for at in range(first, len(lines)) if not lines[at].startswith("|"))
    return "\n".join(lines[first:last])


@pytest.mark.parametrize("heading", TABLES)
def test_page_and_table_agree(heading: str) -> None:
    assert on_the_page(heading) == TABLES[heading], "python -m crunchbed.report.risk_tables"


def test_the_tables_are_not_empty() -> None:
    rows = {heading: len(text.splitlines()) - 2 for heading, text in TABLES.items()}
    assert set(rows) == {"sockets of", "driver", "daemon", "finding"}
    assert min(rows.values()) > 10
