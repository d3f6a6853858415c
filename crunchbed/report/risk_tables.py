"""The tables of ``docs/memalloc-sockets.md``: ``python -m crunchbed.report.risk_tables``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from crunchbed.risk.cards import CARDS
from crunchbed.risk.daemons import DAEMONS
from crunchbed.risk.finding import KINDS
from crunchbed.risk.reading import Reading
from crunchbed.risk.sockets import SOCKET_USERS

_BY = {
    "socket": "sockets of user space",
    "disk": "the shared disk",
    "corosync": "corosync",
}


def tables() -> dict[str, str]:
    """Return each table as the page has it, by its first heading."""
    return {
        heading[0]: "\n".join(_lines(heading, rows))
        for heading, rows in (
            (("sockets of", "what", "memalloc", "line that was read", "note"), _socket_rows()),
            (("driver", "cards", "asks", "line that was read", "note"), _card_rows()),
            (("daemon", "carries", "over", "others wait"), _daemon_rows()),
            (("finding", "meaning"), ((f"`{kind}`", text) for kind, text in KINDS.items())),
        )
    }


def _lines(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (heading, ["---"] * len(heading), *rows):
        yield f"| {' | '.join(cells)} |"


def _socket_rows() -> Iterator[Sequence[str]]:
    for one in SOCKET_USERS.values():
        yield one.name, one.what, *_read(one.readings), one.note


def _card_rows() -> Iterator[Sequence[str]]:
    for one in CARDS.values():
        yield f"`{one.driver}`", one.what, *_read(one.readings), one.note


def _daemon_rows() -> Iterator[Sequence[str]]:
    for name, one in DAEMONS.items():
        yield f"`{name}`", one.carries, _BY[one.by], one.patience


def _read(readings: Sequence[Reading]) -> tuple[str, str]:
    """Return the rule, by version where it changes, and the lines, by file."""
    first: dict[str, str] = {}
    lines: dict[str, list[str]] = {}
    for one in readings:
        first.setdefault(one.rule, one.version)
        lines.setdefault(one.file, []).append(f"{one.line} ({one.version})")
    rules = ", ".join(f"{rule} in {version}" for rule, version in first.items())
    places = "; ".join(f"`{file}` {', '.join(each)}" for file, each in lines.items())
    return (rules if len(first) > 1 else readings[0].rule), places


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(tables().values()) + "\n")
