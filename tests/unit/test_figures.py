"""What is declared of every figure, and how the figures of all nodes follow from each node's."""

from __future__ import annotations

import pytest

from crunchbed.checks.figures import (
    ALL_NAMES,
    NAMES,
    PHASE_NAMES,
    Figures,
    PhaseFigures,
    added_up,
    spec_of,
)
from crunchbed.report.table import rows


@pytest.mark.parametrize("name", ALL_NAMES)
def test_the_name_of_a_figure_says_its_unit(name: str) -> None:
    units = {"_per_second": "1/s", "_seconds": "s", "_pages": "pages"}
    expected = next((unit for end, unit in units.items() if name.endswith(end)), "")
    assert spec_of(name).unit == expected


@pytest.mark.parametrize("name", [*NAMES, *PHASE_NAMES])
def test_whole_numbers_are_declared_as_integers(name: str) -> None:
    fields = {**PhaseFigures.model_fields, **Figures.model_fields}
    annotation = fields[name.partition(".")[0]].annotation
    assert spec_of(name).whole == (annotation in (int, int | None, dict[str, int]))


def test_a_phase_has_the_specs_of_the_whole_run_and_an_unknown_name_has_none() -> None:
    assert spec_of("after.io_p99_seconds") is spec_of("io_p99_seconds")
    assert spec_of("misses_by_cause.link") is spec_of("misses_by_cause")
    with pytest.raises(KeyError):
        spec_of("no_such_figure")


def test_totals_are_sums_but_the_longest_and_the_lowest_of_what_was_measured() -> None:
    first = Figures(
        heartbeats_missed=2,
        misses_by_cause={"link": 2, "loss": 0},
        pressure_seconds=0.5,
        pressure_longest_seconds=0.5,
        reserve_low_water_pages=9,
        io_p99_seconds=0.25,
    )
    second = Figures(
        heartbeats_missed=3,
        misses_by_cause={"link": 1, "loss": 2},
        pressure_seconds=0.75,
        pressure_longest_seconds=0.25,
        reserve_low_water_pages=7,
        time_to_recover_seconds=1.5,
    )
    total = added_up([first, second])
    assert total["heartbeats_missed"] == 5
    assert total["misses_by_cause"] == {"link": 3, "loss": 2}
    assert (total["pressure_seconds"], total["pressure_longest_seconds"]) == (1.25, 0.5)
    assert total["reserve_low_water_pages"] == 7
    assert total["time_to_recover_seconds"] == 1.5
    assert total["path_restore_seconds"] is total["memalloc_failures"] is None
    assert added_up([Figures(memalloc_failures=2), Figures()])["memalloc_failures"] == 2
    assert "io_p99_seconds" not in total, "a percentile of all writes is none of the nodes'"


def test_rows_of_a_table_are_those_with_something_to_say() -> None:
    shown = rows([Figures()])
    assert "writes_lost" in shown
    assert not {"misses_by_cause.link", "failovers", "switch_drops"} & set(shown)
    told = rows([Figures(misses_by_cause={"link": 1}, failovers=1, switch_drops=0)])
    assert {"misses_by_cause.link", "failovers", "switch_drops"} <= set(told)
    assert "misses_by_cause.loss" not in told
