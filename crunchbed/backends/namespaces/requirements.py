"""What this backend needs of a machine: for itself, and for what a scenario asks of it."""

from __future__ import annotations

from typing import Final

from crunchbed.backends.common.requirements import needed_by_all
from crunchbed.host.requirements import Requirement, requirement
from crunchbed.scenario.schema import Scenario

_HOOKS: Final = (
    *("kernel-btf", "libbpf", "hook-object", "bpffs", "bpf-tc", "bpf-cgroup-skb", "bpf-sockopt"),
    *("bpf-connect", "bpf-sendmsg", "bpf-sock-release"),
)
_INITIATOR: Final = "libnbd"  # for the usual transport
_COROSYNC: Final = ("corosync", "libquorum", "libcmap")


def needed_by(scenario: Scenario) -> list[Requirement]:
    """Return what a machine must have for a run of ``scenario``."""
    membership = _COROSYNC if scenario.membership == "corosync" else ()
    own = [requirement(name) for name in (*_HOOKS, _INITIATOR, *membership)]
    return [*needed_by_all(scenario), *own]
