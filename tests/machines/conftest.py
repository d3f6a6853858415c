"""Tests that boot kernels: skipped by name where QEMU or the kernels are not there."""

from __future__ import annotations

import pytest

from crunchbed.backends.machines import images
from crunchbed.backends.machines.requirements import needed_by
from crunchbed.host.requirements import missing
from crunchbed.scenario.loader import load
from tests.leftovers import nothing_is_left

__all__ = ["nothing_is_left"]


@pytest.fixture(scope="session", autouse=True)
def machines_can_be_had() -> None:
    """Skip all of these tests on a machine that lacks something, and say what."""
    control = load("control").with_overrides({"cluster.backend": "machines"})
    lacking = missing(needed_by(control))
    if lacking:
        pytest.skip(", ".join(f"{each.name}: {each.detail}" for each in lacking))


@pytest.fixture
def image() -> images.Image:
    """The default kernel."""
    found = images.find(images.DEFAULT)
    assert found is not None
    return found
