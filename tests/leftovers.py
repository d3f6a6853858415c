"""What tests that make namespaces or boot machines are held to: they leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crunchbed.host import leaks, scratch


def _left() -> set[str]:
    """Return what `crunchbed clean` would remove: dead runs, and directories of killed commands."""
    return {*leaks.dead_runs(), *map(str, scratch.abandoned()), *map(str, leaks.dead_probes())}


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Look before the first test and after the last one."""
    before = _left()
    yield
    new = _left() - before
    assert not new, f"the tests have left {', '.join(sorted(new))}"
