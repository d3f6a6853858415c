"""What this backend needs of a machine: for itself, and for what a scenario asks of it."""

from __future__ import annotations

from typing import Final

from crunchbed.backends.machines import images
from crunchbed.backends.namespaces.requirements import SWITCHES, needs_netem
from crunchbed.host.probes import guests
from crunchbed.host.requirements import Requirement, requirement
from crunchbed.scenario.schema import Scenario

_ALWAYS: Final = (
    *("root", "cgroup2", "mininet", "mnexec", "ip", "tbf", "tun", "mirred", "nbdkit"),
    *("qemu",),
)


def needed_by(scenario: Scenario) -> list[Requirement]:
    """Return what a machine must have for a run of ``scenario``."""
    names = [*_ALWAYS, *SWITCHES[scenario.cluster.switch]]
    if scenario.capture:
        names.append("tcpdump")
    if needs_netem(scenario):
        names.append("netem")
    found = [requirement(name) for name in names]
    memory = scenario.memory
    return [
        *found,
        Requirement(
            f"kernel {memory.kernel}",
            "memory.kernel",
            images.remedy(memory.kernel),
            guests.kernel(memory.kernel),
        ),
        Requirement(
            f"driver of {memory.nic}",
            "memory.nic",
            "another memory.nic or memory.kernel",
            guests.card(memory.kernel, memory.nic),
        ),
    ]
