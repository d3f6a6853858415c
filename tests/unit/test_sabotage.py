"""Damaged histories: none gets a verdict that it cannot know, and a whole one gets its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.archive.rejudge import rejudge
from tests.sabotage.__main__ import table
from tests.sabotage.suite import Row, rows
from tests.unit import format2


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return list(rows(format2.RECORDED, tmp_path_factory.mktemp("sabotage"), seed=1, each=5))


def test_the_whole_history_keeps_the_verdict_of_its_run(tmp_path: Path) -> None:
    records, scenario = format2.converted(format2.RECORDED)
    _, result = rejudge(format2.write(tmp_path, records, scenario))
    assert (result.verdict, result.reasons) == ("pass", ())
    assert result.totals.nodes_ejected == 1


def test_at_least_200_damages_are_done_and_none_gets_a_verdict(found: list[Row]) -> None:
    assert sum(row.tried for row in found) >= 200
    assert {row.name: row.missed for row in found if row.missed} == {}
    assert [row.name for row in found if row.tried == 0] == []


@pytest.mark.parametrize(
    ("name", "when", "reason"),
    [
        ("all of a node lost", "closed", "the history of nN is not whole: it was not closed"),
        ("a part not closed", "closed", "is not whole: it was not closed"),
        ("one line lost", "closed", "events of writer"),
        ("lines doubled", "closed", "are there more than once"),
        ("acknowledgements lost", "open", "N blocks were acknowledged, and N were read back"),
        ("heartbeats sent lost", "open", "no heartbeat was sent in the control phase"),
        ("heartbeats received lost", "open", "and its daemon has received N"),
        ("samples lost", "open", "no sample of the pool for N s"),
        ("the hooks' journal overflowed", "open", "nN: "),
        ("a read-back that does not add up", "open", "verify.result: N checked is not N ok"),
        ("another scenario", "open", "but scenario.json is of writeback-crunch"),
        ("a cluster that was not healthy", "open", "recovery: healthy False"),
        ("a phase's mark lost", "open", "expected the phases start, control, inject"),
        ("pages from nowhere", "open", "nN: its pool had N pages at one moment"),
    ],
)
def test_the_reason_names_what_is_wrong(
    found: list[Row], name: str, when: str, reason: str
) -> None:
    (row,) = (row for row in found if (row.name, row.when) == (name, when))
    assert row.reasons
    assert all(reason in one for one in row.reasons), row.reasons


def test_the_table_says_how_many_were_caught(found: list[Row]) -> None:
    tried = sum(row.tried for row in found)
    assert f"{tried} of {tried} damaged histories" in table(found)
