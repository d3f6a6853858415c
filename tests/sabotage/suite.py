"""Every damage in many ways, and what is said of the run after it."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from crunchbed.archive.rejudge import rejudge
from crunchbed.checks.judge import judge
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.kinds import from_record
from reserve_agent.errors import BadInput
from tests.sabotage.damages import AFTER, SILENT, Damage, Record
from tests.unit import format2

EACH: Final = 7
"""How often each damage is drawn."""


@dataclass
class Row:
    """One kind of damage, done in one way.

    Attributes:
        name: What is done.
        when: Whether the damage came before or after the parts were closed.
        tried: How often it was done.
        caught: How often the verdict was unknown or invalid, or the file was refused.
        unseen: How often it was caught by nothing but the file's digest.
        reasons: How often each reason came first.
        missed: Verdicts that were said though they cannot be known, with the number of the draw.
    """

    name: str
    when: str
    tried: int = 0
    caught: int = 0
    unseen: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)


def rows(source: Path, scratch: Path, *, seed: int, each: int = EACH) -> Iterator[Row]:
    """Damage the recorded run ``source`` in every way, and judge what is left.

    Args:
        source: A run directory.
        scratch: Where damaged runs are put.
        seed: Of all chance.
        each: How often each damage is drawn.
    """
    whole, scenario = format2.converted(source)
    open_end = [one for one in whole if one["kind"] != "part.closed"]
    for when, damages in (("closed", AFTER), ("open", SILENT)):
        for name, damage in damages.items():
            row = Row(name, when)
            for number in range(each):
                chance = random.Random(f"{seed}/{when}/{name}/{number}")  # noqa: S311 - a test's
                before = whole if when == "closed" else open_end
                after = _damaged(damage, before, chance, closes=when == "open")
                if after != before and after != whole:
                    _try(row, number, after, whole, scenario, scratch)
            yield row


def _damaged(
    damage: Damage, records: list[Record], chance: random.Random, *, closes: bool
) -> list[Record]:
    after = sorted(damage(records, chance), key=_time)
    if not closes:
        return after
    return format2.closed(format2.numbered(after))


def _time(record: Record) -> int:
    return record["t"] if isinstance(record["t"], int) else 0


def _try(
    row: Row,
    number: int,
    records: list[Record],
    whole: list[Record],
    scenario: Record,
    scratch: Path,
) -> None:
    """Judge one damaged run: with the digest of what was merged, and as if nobody had that."""
    row.tried += 1
    directory = format2.write(scratch, records, scenario)
    if row.when == "closed":
        told = format2.run_json(whole, format2.content_of(whole))
        (directory / "run.json").write_bytes(orjson.dumps(told))
    verdict, reason = _verdict(directory)
    if verdict in ("pass", "fail"):
        row.missed.append(f"{number}: {verdict}")
        return
    row.caught += 1
    if row.when == "closed" and reason.startswith("the history is not as it was merged"):
        alone, reason_alone = _judged_alone(records, scenario)
        row.unseen += alone in ("pass", "fail")
        reason = reason_alone if alone not in ("pass", "fail") else reason
    row.reasons[re.sub(r"-?\d[\d.,]*", "N", reason)] += 1


def _verdict(directory: Path) -> tuple[str, str]:
    try:
        _, result = rejudge(directory)
    except BadInput as error:
        return "refused", str(error).partition(": ")[2]
    return result.verdict, next(iter(result.reasons), "")


def _judged_alone(records: list[Record], scenario: Mapping[str, object]) -> tuple[str, str]:
    """The verdict where no digest is known."""
    history = History([from_record(dict(record)) for record in records])
    result = judge(history, Scenario.of(dict(scenario), ""))
    return result.verdict, next(iter(result.reasons), "")
