"""Who has which part of the disk that all machines share: swap first, then a region each. Pure."""

from __future__ import annotations

from typing import Final

from crunchbed.scenario.block_io import MACHINE_WRITES
from crunchbed.scenario.crunch import WritebackCrunch
from crunchbed.scenario.schema import Scenario
from nodes.block.pattern import BLOCK_BYTES

MOST_REQUEST: Final = 16 * BLOCK_BYTES
"""Bytes of one write."""


def dirty_pages(crunch: WritebackCrunch) -> int:
    """Return how many pages a task dirties, of which ``crunch.pages`` are to be swapped out.

    A kernel keeps some of them in memory for its own reasons.
    """
    return crunch.pages * 5 // 4


def swap_pages(scenario: Scenario) -> int:
    """Return the pages at the begin of the disk that a machine swaps to.

    The target of the crunch alone swaps. A swap slot is used again only some time after it was
    freed, hence twice the room.
    """
    crunch = scenario.crunch
    return 2 * dirty_pages(crunch) if isinstance(crunch, WritebackCrunch) else 0


def region_blocks(scenario: Scenario) -> int:
    """Return the blocks of 4 KiB that each node writes; negative where there is no room."""
    blocks = scenario.block_io.export // BLOCK_BYTES - swap_pages(scenario)
    return blocks // len(scenario.node_names)


def first_block(scenario: Scenario, node: str) -> int:
    """Return the first block that a node writes."""
    return swap_pages(scenario) + scenario.node_names.index(node) * region_blocks(scenario)


def writers(scenario: Scenario) -> int:
    """Return how many writes a node has under way at most."""
    return min(scenario.block_io.queue_depth, MACHINE_WRITES)


def request_blocks(scenario: Scenario) -> int:
    """Return the blocks of one write."""
    return scenario.block_io.request // BLOCK_BYTES


def has_room(scenario: Scenario) -> bool:
    """Return whether every node has room for all writes that it has under way."""
    return region_blocks(scenario) >= writers(scenario) * request_blocks(scenario)
