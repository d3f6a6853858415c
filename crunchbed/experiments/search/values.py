"""Drawing one fault or crunch: its kind, its target, its values, its times.

Every function returns the keys that a scenario file would have; whether they go together the
scenario decides. Lengths and sizes are drawn so that each decade has as many.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from crunchbed.faults.base import STORAGE
from crunchbed.faults.stall import STALLED_DAEMONS
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import format_duration

Dice = random.Random
Draw = Callable[[Dice, Scenario], dict[str, Any]]

STEP_NS: Final = 10_000_000
"""Times are drawn in steps of this."""
_SHARES: Final = (0.1, 0.3, 0.5, 0.9, 1.0)
_DEPTHS: Final = (0.0, 0.5, 0.8, 0.99, 1.0)


def many(dice: Dice, low: int, high: int) -> int:
    """Return a whole number from ``low`` to ``high``, as many in each decade."""
    return min(high, max(low, round(low * math.pow(high / low, dice.random()))))


def moment(dice: Dice, low: int, high: int) -> str:
    """Return a duration from ``low`` to ``high`` nanoseconds, all of them alike."""
    return format_duration(_stepped(dice.uniform(low, high)))


def length(dice: Dice, low: int, high: int) -> str:
    """Return a duration from ``low`` to ``high`` nanoseconds, as many in each decade."""
    return format_duration(max(STEP_NS, _stepped(many(dice, low, max(low, high)))))


def _stepped(ns: float) -> int:
    return round(ns / STEP_NS) * STEP_NS


def _node(dice: Dice, scenario: Scenario) -> str:
    return dice.choice(scenario.node_names)


def _node_or_storage(dice: Dice, scenario: Scenario) -> str:
    return dice.choice((*scenario.node_names, STORAGE))


def _link_down(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    network = dice.choice((None, *scenario.cluster.networks))
    named = {} if network is None or len(scenario.cluster.networks) == 1 else {"network": network}
    return {"target": _node_or_storage(dice, scenario), **named}


def _partition(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    names = scenario.node_names
    side = dice.sample(names, dice.randint(1, max(1, len(names) // 2)))
    return {"target": sorted(side, key=names.index)}


def _loss(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    target = _node(dice, scenario)
    keys = {"target": target, "share": dice.choice(_SHARES)}
    way = dice.choice(("in", "out", "both", "from"))
    if way == "from":
        others = [name for name in (*scenario.node_names, STORAGE) if name != target]
        return keys | {"from": dice.choice(others)}
    return keys | {"direction": way}


def _delay(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    return {
        "target": _node_or_storage(dice, scenario),
        "delay": length(dice, STEP_NS, 2_000_000_000),
        "direction": dice.choice(("in", "out", "both")),
    }


def _stall(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    target = _node_or_storage(dice, scenario)
    if target == STORAGE:
        return {"target": target}
    return {"target": target, "daemons": dice.choice(("all", *([one] for one in STALLED_DAEMONS)))}


def _burst(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    target = dice.choice(scenario.writers)
    keys = {"target": target, "pages": many(dice, 100, scenario.memory.pages)}
    others = [name for name in scenario.node_names if name != target]
    return keys | {"work-of": dice.choice(others)} if dice.random() < 0.3 else keys


def _fence_failure(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    keys: dict[str, Any] = {"target": _node(dice, scenario), "fails": dice.randint(0, 4)}
    if keys["fails"] and dice.random() < 0.5:
        return keys
    return keys | {"takes": length(dice, STEP_NS, 3_000_000_000)}


def _resize(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    return {"target": _node(dice, scenario), "pages": many(dice, 4, 1024)}


FAULTS: Final[Mapping[str, Draw]] = {
    "link-down": _link_down,
    "partition": _partition,
    "loss": _loss,
    "delay": _delay,
    "node-crash": lambda dice, scenario: {"target": _node(dice, scenario)},
    "stall": _stall,
    "burst": _burst,
    "arp-expiry": lambda dice, scenario: {"target": _node(dice, scenario)},
    "target-crash": lambda _dice, _scenario: {},
    "slow-disk": lambda dice, _: {"wdelay": length(dice, STEP_NS, 3_000_000_000)},
    "fence-failure": _fence_failure,
    "resize-reserve": _resize,
}
"""What is drawn of a fault beside its times, by kind."""


def _writeback(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    pages = many(dice, 500, 2 * scenario.memory.pages)
    return {"target": dice.choice(scenario.writers), "pages": pages, "rate": 100_000_000}


def _timed(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    every = many(dice, STEP_NS, scenario.phases.inject // 4)
    count = max(1, min(200, scenario.phases.inject // 2 // every))
    return {
        "target": _node(dice, scenario),
        "count": dice.randint(1, count),
        "every": format_duration(every),
        "length": format_duration(many(dice, 50_000, every)),
        "depth": dice.choice(_DEPTHS),
    }


def _flood(dice: Dice, scenario: Scenario) -> dict[str, Any]:
    return {
        "target": _node(dice, scenario),
        "rate": many(dice, 500, 8000),
        "duration": length(dice, 50_000_000, scenario.phases.inject // 2),
    }


CRUNCHES: Final[Mapping[str, Draw]] = {
    "writeback": _writeback,
    "timed": _timed,
    "flood": _flood,
}
"""What is drawn of a crunch, by kind; a crunch begins with the inject phase, and its jitter."""
