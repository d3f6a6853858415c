"""What a scenario is to a cluster that is held open. Pure."""

from __future__ import annotations

from typing import Any, Final

from crunchbed.scenario.crunch import FloodCrunch
from crunchbed.scenario.schema import Scenario

_FLOOD_PORT = 9001

LONGEST: Final = "3600s"
"""How long a crunch of a cluster that is held open may last: the longest phase that there is."""


def without_plan(scenario: Scenario) -> Scenario:
    """The scenario without a crunch, faults and expectations: those are up to whoever uses it."""
    return scenario.with_overrides({"crunch": None, "faults": [], "expect": [], "steady": []})


def with_flood_reader(scenario: Scenario) -> Scenario:
    """The scenario that the daemons are started for: with a reader on every node to be flooded.

    It is the scenario's own where that floods, else one on a port that nobody has.
    """
    if isinstance(scenario.crunch, FloodCrunch):
        return scenario.with_overrides({"faults": [], "expect": [], "steady": []})
    taken = {scenario.block_io.port, scenario.heartbeat.port, scenario.traffic.port}
    port = next(port for port in range(_FLOOD_PORT, _FLOOD_PORT + 4) if port not in taken)
    reader = {"kind": "flood", "port": port, "duration": "10ms", "jitter": "0s"}
    return without_plan(scenario).with_overrides({"crunch": reader})


def with_crunch(scenario: Scenario, target: str, settings: dict[str, Any]) -> Scenario:
    """The scenario with the crunch that somebody asks for, which begins at once.

    Args:
        scenario: what ``with_flood_reader`` returned.
        target: the node.
        settings: keys of ``crunch``, with ``kind``.

    Raises:
        BadInput: a key is unknown or a value is refused; says which.
    """
    crunch: dict[str, Any] = {"jitter": "0s", **settings, "target": target}
    own = scenario.crunch
    if settings.get("kind") == "flood" and isinstance(own, FloodCrunch):
        crunch |= {"port": own.port, "memalloc": own.memalloc}
    if settings.get("kind") == "timed":
        crunch.setdefault("count", 1)
        crunch.setdefault("every", crunch.get("longest") or crunch.get("length", "50us"))
    return scenario.with_overrides({"crunch": crunch, "phases.inject": LONGEST})
