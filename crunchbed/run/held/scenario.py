"""The scenario of a cluster that is held open, and of each crunch of it. Pure."""

from __future__ import annotations

from typing import Any, Final

from crunchbed.scenario.crunch import FloodCrunch
from crunchbed.scenario.schema import Scenario

_FLOOD_PORT = 9001

LONGEST: Final = "3600s"
"""How long a crunch of a cluster that is held open may last: the longest phase that there is."""


def without_plan(scenario: Scenario) -> Scenario:
    """Return the scenario without crunch, faults and expectations, which other terminals bring."""
    return scenario.with_overrides({"crunch": None, "faults": [], "expect": [], "steady": []})


def with_flood_reader(scenario: Scenario) -> Scenario:
    """Return the scenario that the daemons are started for: every node has a reader to flood.

    The reader is the scenario's own where its crunch is a flood, else one on a free port.
    """
    if isinstance(scenario.crunch, FloodCrunch):
        return scenario.with_overrides({"faults": [], "expect": [], "steady": []})
    taken = {scenario.block_io.port, scenario.heartbeat.port, scenario.traffic.port}
    port = next(port for port in range(_FLOOD_PORT, _FLOOD_PORT + 4) if port not in taken)
    reader = {"kind": "flood", "port": port, "duration": "10ms", "jitter": "0s"}
    return without_plan(scenario).with_overrides({"crunch": reader})


def with_crunch(scenario: Scenario, target: str, settings: dict[str, Any]) -> Scenario:
    """Return the scenario with the crunch that somebody asks for, which begins at once.

    Args:
        scenario: What ``with_flood_reader`` returned.
        target: The node.
        settings: Keys of ``crunch``, with ``kind``.

    Raises:
        BadInput: A key is unknown or a value is refused; says which.
    """
    crunch: dict[str, Any] = {"jitter": "0s", **settings, "target": target}
    own = scenario.crunch
    if settings.get("kind") == "flood" and isinstance(own, FloodCrunch):
        crunch |= {"port": own.port, "memalloc": own.memalloc}
    if settings.get("kind") == "timed":
        crunch.setdefault("count", 1)
        crunch.setdefault("every", crunch.get("longest") or crunch.get("length", "50us"))
    return scenario.with_overrides({"crunch": crunch, "phases.inject": LONGEST})
