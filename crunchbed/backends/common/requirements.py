"""What every backend needs of this machine for a scenario: network, storage host, captures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crunchbed.host.requirements import Requirement, disk_room, requirement
from crunchbed.scenario.schema import Scenario

_ALWAYS: Final = ("root", "cgroup2", "mininet", "mnexec", "ip", "tbf")
_SWITCHES: Final = {
    "auto": ("open-vswitch", "ovs-userspace"),
    "ovs-kernel": ("open-vswitch", "ovs-kernel"),
    "ovs-user": ("open-vswitch", "ovs-userspace"),
    "linux-bridge": ("linux-bridge",),
}
"""What each ``cluster.switch`` needs."""
_TRANSPORTS: Final = {
    "nbd": ("nbdkit",),
    "iscsi": ("iscsi-target", "iscsi-initiator"),
    "nvme-tcp": (),
}
"""Programs of this machine; both sides of NVMe/TCP are guests' kernels."""
_BITS_PER_BYTE: Final = 8
_UNPHASED_SECONDS: Final = 60  # a run's start, what follows its faults, and its end: at most


def needed_by_all(scenario: Scenario) -> list[Requirement]:
    """Return what a run of ``scenario`` needs of this machine, whatever its nodes are."""
    names = (*_ALWAYS, *_SWITCHES[scenario.cluster.switch], *_asked_by(scenario))
    return [*(requirement(name) for name in names), _disk_room(scenario)]


def _disk_room(scenario: Scenario) -> Requirement:
    """Return the room that the block device's sparse file may take.

    That is its size, or what the links bring it in a run, which is less for a very large one.
    """
    phases, cluster = scenario.phases, scenario.cluster
    lengths_ns = phases.control + phases.inject + phases.recovery + phases.after
    rate = max(cluster.storage_rate, cluster.port_rate)
    brought = rate // _BITS_PER_BYTE * (lengths_ns // 10**9 + _UNPHASED_SECONDS)
    return disk_room(min(scenario.block_io.export, brought))


def _asked_by(scenario: Scenario) -> Iterator[str]:
    yield from _TRANSPORTS[scenario.block_io.transport]
    if scenario.capture:
        yield "tcpdump"
    if scenario.cluster.controller != "none":
        yield "os-ken"
    if scenario.shed.mode == "queue":
        yield "htb"
    if scenario.cluster.needs_netem or any(fault.kind == "delay" for fault in scenario.faults):
        yield "netem"
