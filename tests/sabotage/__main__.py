"""``python -m tests.sabotage [RUN...]``: damages recorded runs, and prints what is said of them.

Exits with 1 where a damaged run got a verdict.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from crunchbed.host.scratch import scratch
from crunchbed.run.signals import ended_by_signals
from tests.sabotage.suite import Row, rows
from tests.unit import format2


def main(arguments: Sequence[str]) -> int:
    """Damage each run and print a table of all."""
    sources = [Path(one) for one in arguments] or [format2.RECORDED]
    with ended_by_signals(), scratch("sabotage") as place:
        found = [
            row for seed, source in enumerate(sources, 1) for row in rows(source, place, seed=seed)
        ]
    sys.stdout.write(f"{table(found)}\n")
    return int(any(row.missed for row in found))


def table(found: Sequence[Row]) -> str:
    """Return the rows as Markdown, and a line of sums."""
    lines = ["| damage | done | runs | caught | by the digest alone | reasons, first of each run |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for name, when in dict.fromkeys((row.name, row.when) for row in found):
        same = [row for row in found if (row.name, row.when) == (name, when)]
        reasons = sum((row.reasons for row in same), start=same[0].reasons.__class__())
        text = "; ".join(f"{reason[:90]} ({n})" for reason, n in reasons.most_common(2))
        tried, caught, unseen = (
            sum(getattr(row, one) for row in same) for one in ("tried", "caught", "unseen")
        )
        done = "after" if when == "closed" else "before"
        lines.append(f"| {name} | {done} | {tried} | {caught} | {unseen} | {text} |")
    tried, caught = (sum(getattr(row, one) for row in found) for one in ("tried", "caught"))
    lines.append(f"\n{caught} of {tried} damaged histories are unknown, invalid or refused.")
    lines += [
        f"WRONG: {row.name} ({row.when}): {', '.join(row.missed)}" for row in found if row.missed
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
