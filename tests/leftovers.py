"""What tests that make namespaces or boot machines are held to: they leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crunchbed.host import leaks, scratch
from crunchbed.host.run_ids import STATE_ROOT, RunRecord


def dead_runs_of(place: Path) -> set[str]:
    """Return the dead runs that may be those of tests: others may be killed on the same machine.

    Args:
        place: The directory below which tests have their runs write.
    """
    records = {run_id: RunRecord.read(STATE_ROOT / run_id) for run_id in leaks.dead_runs()}
    return {
        run_id
        for run_id, record in records.items()
        if record is None or record.directory is None or place in record.directory.parents
    }


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Look before the first test and after the last one for what `crunchbed clean` would remove."""

    def left() -> set[str]:
        runs = dead_runs_of(tmp_path_factory.getbasetemp())
        return {*runs, *map(str, scratch.abandoned()), *map(str, leaks.dead_probes())}

    before = left()
    yield
    new = left() - before
    assert not new, f"the tests have left {', '.join(sorted(new))}"
