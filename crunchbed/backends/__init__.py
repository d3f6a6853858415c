"""What nodes are made of: one folder for each backend, loaded when a scenario asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reserve_agent.errors import BadInput

if TYPE_CHECKING:
    from crunchbed.run.backend import Backend
    from crunchbed.scenario.schema import Scenario


def _namespaces() -> Backend:
    from crunchbed.backends.namespaces.backend import NamespacesBackend

    return NamespacesBackend()


def _machines() -> Backend:
    from crunchbed.backends.machines.backend import MachinesBackend

    return MachinesBackend()


def _simulation() -> Backend:
    from crunchbed.backends.simulation.backend import SimulationBackend

    return SimulationBackend()


BACKENDS: dict[str, Callable[[], Backend]] = {
    "namespaces": _namespaces,
    "machines": _machines,
    "simulation": _simulation,
}
"""By the value of ``cluster.backend``."""


def backend_of(scenario: Scenario) -> Backend:
    """Return the backend that a scenario asks for, or raise BadInput."""
    name = getattr(scenario.cluster, "backend", "namespaces")
    if name not in BACKENDS:
        raise BadInput(f"cluster.backend: expected one of {', '.join(BACKENDS)}, got {name}")
    return BACKENDS[name]()
