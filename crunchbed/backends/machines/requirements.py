"""What this backend needs of a machine: for itself, and for what a scenario asks of it."""

from __future__ import annotations

from typing import Final

from crunchbed.backends.common.requirements import needed_by_all
from crunchbed.backends.machines import images
from crunchbed.host.probes import guests
from crunchbed.host.requirements import Requirement, requirement
from crunchbed.scenario.schema import Scenario

_NETWORK: Final = ("tun", "mirred")


def needed_by(scenario: Scenario) -> list[Requirement]:
    """Return what a machine must have for a run of ``scenario``."""
    memory = scenario.memory
    variants = []
    if scenario.membership == "corosync":
        probe = guests.corosync(memory.kernel_name)
        variants.append(Requirement("corosync of guests", "membership", images.MAKE, probe))
    if scenario.block_io.transport == "iscsi":
        probe = guests.iscsi(memory.kernel_name)
        variants.append(Requirement("iSCSI of guests", "block_io.transport", images.MAKE, probe))
    if scenario.block_io.transport == "nvme-tcp":
        probe = guests.nvme(memory.kernel_name)
        variants.append(Requirement("NVMe/TCP of guests", "block_io.transport", images.MAKE, probe))
    return [
        *needed_by_all(scenario),
        *(requirement(name) for name in _NETWORK),
        *needed_by_one(memory.kernel_name, memory.nic),
        *variants,
    ]


def needed_by_one(kernel: str, nic: str) -> list[Requirement]:
    """Return what a machine must have to boot one guest with this kernel and card."""
    brings = "another memory.nic or memory.kernel"
    return [
        requirement("qemu"),
        Requirement(
            f"kernel {kernel}", "memory.kernel", images.remedy(kernel), guests.kernel(kernel)
        ),
        Requirement(f"driver of {nic}", "memory.nic", brings, guests.card(kernel, nic)),
    ]
