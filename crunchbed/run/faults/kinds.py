"""From a fault as the scenario says it to the fault that can be done."""

from __future__ import annotations

from crunchbed.run.faults.agent_crash import AgentCrashFault
from crunchbed.run.faults.arp_expiry import ArpExpiryFault
from crunchbed.run.faults.burst import BurstFault
from crunchbed.run.faults.controller_crash import ControllerCrashFault
from crunchbed.run.faults.delay import DelayFault
from crunchbed.run.faults.link_down import LinkDownFault
from crunchbed.run.faults.loss import LossFault
from crunchbed.run.faults.node_crash import NodeCrashFault
from crunchbed.run.faults.partition import PartitionFault
from crunchbed.run.faults.protocol import Fault, World
from crunchbed.run.faults.resize_reserve import ResizeReserveFault
from crunchbed.run.faults.slow_disk import SlowDiskFault
from crunchbed.run.faults.stall import StallFault
from crunchbed.run.faults.switch_crash import SwitchCrashFault
from crunchbed.run.faults.target_crash import TargetCrashFault
from crunchbed.scenario import faults


def make(fault: faults.FaultSection, world: World) -> Fault:
    """Return the fault; nothing is done yet."""
    match fault:
        case faults.LinkDown():
            return LinkDownFault(fault, world)
        case faults.Partition():
            return PartitionFault(fault, world)
        case faults.Loss():
            return LossFault(fault, world)
        case faults.Delay():
            return DelayFault(fault, world)
        case faults.NodeCrash():
            return NodeCrashFault(fault, world)
        case faults.AgentCrash():
            return AgentCrashFault(fault, world)
        case faults.ControllerCrash():
            return ControllerCrashFault(world)
        case faults.SwitchCrash():
            return SwitchCrashFault(fault, world)
        case faults.TargetCrash():
            return TargetCrashFault(world)
        case faults.SlowDisk():
            return SlowDiskFault(fault, world)
        case faults.Stall():
            return StallFault(fault, world)
        case faults.Burst():
            return BurstFault(fault, world)
        case faults.ArpExpiry():
            return ArpExpiryFault(fault, world)
        case faults.ResizeReserve():
            return ResizeReserveFault(fault, world)
    raise TypeError(f"no such fault: {fault!r}")
