"""The reference by profile beside what stock kernels did: the levels table of Linux 6.1.192.

``data/levels-6.1.192.csv`` has three boots of each cell: a card, who is flagged, and the level that
was held for 1.5 s, as a fraction of min. Verdicts are compared for heartbeats and for writes. Rows
that are ``mixed`` (level 0: boots differ) are not asserted.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from reserve_agent.model.profiles import CARDS, LINUX_6_1, LINUX_6_12
from reserve_agent.model.profiles.card import Asks, Card, Refill
from reserve_agent.model.profiles.kernel import Kernel, Ratio, Request
from tests.unit.levels import DUE, MS, LevelRun

TABLE = Path(__file__).parent / "data" / "levels-6.1.192.csv"
LEVELS = {"1": Ratio(1, 1), "0.5": Ratio(1, 2), "0.375": Ratio(3, 8), "0.25": Ratio(1, 4)}
UNDISTURBED = 255
"""Writes that the model acknowledges in 1.5 s; the table has 180 to 273 at level 1."""


def rows() -> list[dict[str, str]]:
    """The cells that are asserted."""
    with TABLE.open() as file:
        return [row for row in csv.DictReader(file) if row["note"] != "mixed"]


def of_three(boots: str) -> float:
    """The median of ``a/b/c``."""
    return median(int(boot) for boot in boots.split("/"))


def heartbeats(heard: float) -> str:
    """What became of 15 heartbeats; deaf is silent for more than 1.2 s of 1.5."""
    return "all heard" if heard >= DUE else "deaf" if heard <= 2 else "part"


def writes(share: float) -> str:
    """What became of writes, as a share of the undisturbed ones."""
    return "go on" if share >= 0.8 else "stand still" if share <= 0.12 else "part"


CELLS = rows()
NAMES = [" ".join((row["card"], row["flags"], row["level"])) for row in CELLS]


def test_the_table_has_all_cells() -> None:
    assert len(CELLS) == 60
    assert {row["card"] for row in CELLS} == set(CARDS) - {"igb"}


@pytest.mark.parametrize("row", CELLS, ids=NAMES)
def test_a_level_has_the_verdict_of_the_kernel(row: dict[str, str]) -> None:
    calm = next(
        of_three(other["writes"])
        for other in CELLS
        if (other["card"], other["flags"], other["level"]) == (row["card"], row["flags"], "1")
    )
    run = LevelRun(LINUX_6_1, CARDS[row["card"]], row["flags"], LEVELS[row["level"]]).run()
    measured = heartbeats(of_three(row["heartbeats_of_15"])), writes(of_three(row["writes"]) / calm)
    assert verdicts(run) == measured
    assert run.sent == DUE, "a crunched node is deaf, not mute"
    low = of_three(row["low_water_pages"])
    assert abs(run.model.pool.low_water - low) <= 8, "pages that the crunch itself takes"


def verdicts(run: LevelRun) -> tuple[str, str]:
    """Of heartbeats and writes."""
    return heartbeats(run.heartbeats), writes(run.writes / UNDISTURBED)


def level(card: Card, flags: str, share: Ratio, kernel: Kernel = LINUX_6_1) -> LevelRun:
    return LevelRun(kernel, card, flags, share).run()


QUARTER, HALF = Ratio(1, 4), Ratio(1, 2)


@pytest.mark.parametrize(("share", "least", "most"), [(QUARTER, 1500, 1700), (HALF, 200, 600)])
def test_vmxnet3_drops_a_ring_later(share: Ratio, least: int, most: int) -> None:
    """Block I/O is flagged: the window hears its heartbeats, and the time after it does not."""
    run = LevelRun(LINUX_6_1, CARDS["vmxnet3"], "block", share).run(after=3000 * MS)
    assert run.heartbeats >= 14
    assert least <= run.silence // MS <= most


def test_virtio_hears_again_when_memory_is_back() -> None:
    run = LevelRun(LINUX_6_1, CARDS["virtio-net"], "block+hb", QUARTER).run(after=1000 * MS)
    assert run.heartbeats <= 2
    assert 1400 <= run.silence // MS <= 2000


def wrong(kernel: Kernel = LINUX_6_1, **floors: Ratio) -> Kernel:
    return replace(kernel, floors=replace(kernel.floors, **floors))


CONSTANTS = {
    "atomic floor": ("e1000", "block", HALF, wrong(atomic=Ratio(1, 2)), {}),
    "from reserve": ("e1000", "block", HALF, replace(LINUX_6_1, from_reserve=Request.NORMAL), {}),
    "ring": ("e1000", "none", QUARTER, LINUX_6_1, {"ring": 1024}),
    "refill": ("virtio-net", "block", HALF, LINUX_6_1, {"refill": Refill.BATCH}),
    "who asks": ("8139cp", "block+hb", QUARTER, LINUX_6_1, {"asks": Asks.NEVER}),
    "what is copied": ("e1000", "block+hb", QUARTER, LINUX_6_1, {"copies": 0}),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_wrong_constant_is_told(name: str) -> None:
    card, flags, share, kernel, changes = CONSTANTS[name]
    right = level(CARDS[card], flags, share)
    other = level(replace(CARDS[card], **changes), flags, share, kernel)
    assert verdicts(other) != verdicts(right)


def test_both_kernels_have_the_same_rules() -> None:
    """As measured: e1000, e1000e, 8139cp and vmxnet3 have the same verdicts on both."""
    same = {"name": LINUX_6_1.name, "version": LINUX_6_1.version, "measured": LINUX_6_1.measured}
    assert replace(LINUX_6_12, **same) == LINUX_6_1
