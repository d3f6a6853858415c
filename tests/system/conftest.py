"""The tests leave nothing on the machine that was not there before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crunchbed.host import leaks, scratch


def _left() -> set[str]:
    """Return what `crunchbed clean` would remove: dead runs, and directories of killed commands."""
    return {*leaks.dead_runs(), *map(str, scratch.abandoned()), *map(str, leaks.dead_probes())}


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = _left()
    yield
    new = _left() - before
    assert not new, f"the tests have left {', '.join(sorted(new))}"
