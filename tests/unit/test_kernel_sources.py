"""The tables of sockets and cards: whole, and true of the sources where these are unpacked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crunchbed.risk.cards import ASKS, CARDS
from crunchbed.risk.need import FLOOR_READ
from crunchbed.risk.past import DROP_READ, THROTTLE_READ
from crunchbed.risk.reading import (
    LINUX_6_1,
    LINUX_6_12,
    READ_KERNELS,
    Reading,
    numbers,
    reading_for,
)
from crunchbed.risk.sockets import FLAGGED, SOCKET_USERS

SOURCES = os.environ.get("KERNEL_SOURCES", "")
"""A directory with an unpacked kernel in a folder for each version that was read."""
READINGS = sorted(
    {
        one
        for entry in (*CARDS.values(), *SOCKET_USERS.values())
        for one in entry.readings
        if not one.tree
    }.union(FLOOR_READ, DROP_READ, THROTTLE_READ),
    key=lambda one: (one.file, one.line),
)


def test_every_entry_has_a_rule_and_a_line_for_each_kernel() -> None:
    for rules, entries in ((ASKS, CARDS.values()), (FLAGGED, SOCKET_USERS.values())):
        for entry in entries:
            assert {one.rule for one in entry.readings} <= set(rules), entry
            assert all(one.line > 0 and one.text for one in entry.readings), entry
            versions = [one.version for one in entry.readings]
            assert versions == sorted(versions, key=numbers), entry
            assert versions == list(READ_KERNELS) or entry.readings[-1].tree, entry


@pytest.mark.parametrize(
    ("running", "chosen"),
    [
        ("5.10.0-21-amd64", LINUX_6_1),
        ("6.1.0-56-amd64", LINUX_6_1),
        ("6.11.2", LINUX_6_1),
        ("6.12.95+deb13-amd64", LINUX_6_12),
        ("6.18.44-fc-v657", LINUX_6_12),
        ("unheard-of", LINUX_6_1),
    ],
)
def test_the_newest_reading_that_is_not_newer_than_the_kernel_counts(
    running: str, chosen: str
) -> None:
    assert reading_for(CARDS["igb"].readings, running).version == chosen


def test_a_rule_may_change_between_kernels() -> None:
    assert CARDS["iavf"].asks("6.1.0") == "always"
    assert CARDS["iavf"].asks("6.12.0") == "never"


@pytest.mark.parametrize(
    ("version", "flagged"),
    [("8.4.11", "never"), ("9.1.23", "never"), ("9.2.12", "never"), ("9.2.13", "always")],
)
def test_drbd_goes_by_its_own_version(version: str, flagged: str) -> None:
    assert SOCKET_USERS["drbd"].flagged(version) == flagged


@pytest.mark.skipif(not SOURCES, reason="KERNEL_SOURCES names no unpacked kernels")
@pytest.mark.parametrize("one", READINGS, ids=lambda one: f"{one.file}:{one.line}")
def test_the_line_says_so(one: Reading) -> None:
    """``KERNEL_SOURCES=DIR``, with DIR/6.1.192 and DIR/6.12.117."""
    lines = (Path(SOURCES) / one.version / one.file).read_text(errors="replace").splitlines()
    assert one.text in lines[one.line - 1]
