"""The kind of switch that a run gets on this machine."""

from __future__ import annotations

from typing import Literal

from reserve_agent.errors import BadInput, MissingRequirement
from topologies import ovs

SwitchKind = Literal["ovs-kernel", "ovs-user", "linux-bridge"]
SwitchChoice = Literal["auto", "ovs-kernel", "ovs-user", "linux-bridge"]


def choose_switch(choice: SwitchChoice) -> SwitchKind:
    """Resolve ``auto``, and check that this machine has the chosen switch.

    ``auto`` is Open vSwitch, on the kernel's datapath if there is one. It is a Linux bridge only
    where Open vSwitch is not installed. An Open vSwitch that is installed but stopped is an error:
    with a bridge instead, a run's switch would depend on the moment of its start.

    Raises:
        BadInput: no such kind.
        MissingRequirement: Open vSwitch does not run, or has no kernel datapath.
    """
    if choice not in ("auto", "ovs-kernel", "ovs-user", "linux-bridge"):
        raise BadInput(f"switch: unknown kind {choice!r}")
    if choice == "linux-bridge":
        return choice
    if not ovs.is_installed():
        if choice == "auto":
            return "linux-bridge"
        raise MissingRequirement(
            "Open vSwitch is not installed: apt-get install openvswitch-switch"
        )
    if not ovs.is_running():
        how = "/usr/share/openvswitch/scripts/ovs-ctl start --system-id=random"
        raise MissingRequirement(f"Open vSwitch is not running: {how}")
    if choice == "ovs-user":
        return choice
    if ovs.has_kernel_datapath():
        return "ovs-kernel"
    if choice == "ovs-kernel":
        raise MissingRequirement("the kernel has no openvswitch module: modprobe openvswitch")
    return "ovs-user"
