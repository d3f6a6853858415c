"""What this backend does not simulate of a scenario, one line each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crunchbed.scenario.crunch import FORMS, WritebackCrunch
from crunchbed.scenario.profiles import profile_for, unknown_profile
from crunchbed.scenario.schema import Scenario

_HAVE: Final = (
    *("link-down", "partition", "loss", "delay", "node-crash", "stall", "burst"),
    *("arp-expiry", "target-crash", "slow-disk", "fence-failure", "resize-reserve"),
)
_LACK: Final = {
    "agent-crash": "there is no agent whose place another could take",
    "controller-crash": "no switch here has a controller",
    "switch-crash": "switches are not simulated yet",
}
"""Why, for the kinds of faults that are not simulated."""
_OF_KERNELS: Final = ("none", "memalloc")
_TOPOLOGIES: Final = ("star", "split")


def refused(scenario: Scenario, *, hold: bool) -> list[str]:
    """Return what is not simulated of a scenario."""
    if hold:
        return ["a simulated cluster cannot be held open: its time passes in a moment"]
    return [*_keys(scenario), *_faults(scenario)]


def _keys(scenario: Scenario) -> Iterator[str]:
    cluster, block_io, memory = scenario.cluster, scenario.block_io, scenario.memory
    profile, crunch = profile_for(memory), scenario.crunch
    form = crunch.form if isinstance(crunch, WritebackCrunch) else FORMS[0]
    wanted = (
        ("cluster.topology", cluster.topology, _TOPOLOGIES),
        ("cluster.controller", cluster.controller, ("none",)),
        ("membership", scenario.membership, ("crunchbed",)),
        ("block_io.transport", block_io.transport, ("nbd",)),
        ("crunch.form", form, (FORMS[0],)),
        ("capture", scenario.capture, (False,)),
    )
    for key, got, expected in wanted:
        if got not in expected:
            words = " or ".join(str(one).lower() or "[]" for one in expected)
            yield f"{key}: expected {words}, got {str(got).lower()}"
    yield from unknown_profile(memory)
    if profile and profile.kernel.buffers is not None and scenario.policy not in _OF_KERNELS:
        yield (
            f"policy: expected {' or '.join(_OF_KERNELS)} with {profile.kernel.name}: "
            f"no kernel has another, got {scenario.policy}"
        )


def _faults(scenario: Scenario) -> Iterator[str]:
    for kind in dict.fromkeys(fault.kind for fault in scenario.faults):
        if kind not in _HAVE:
            yield f"faults: no {kind}: {_LACK[kind]}"
