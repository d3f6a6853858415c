"""The old place of ``crunchbed/faults``, which ``crunchbed/run/faults`` still needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crunchbed.faults.agent_crash import AgentCrash
from crunchbed.faults.arp_expiry import ArpExpiry
from crunchbed.faults.base import CONTROLLER, RANDOM, STORAGE, FaultSection
from crunchbed.faults.burst import Burst
from crunchbed.faults.controller_crash import ControllerCrash
from crunchbed.faults.delay import Delay
from crunchbed.faults.kinds import FAULT_KINDS, MODELS, Fault, Faults
from crunchbed.faults.link_down import LinkDown
from crunchbed.faults.loss import Loss
from crunchbed.faults.node_crash import NodeCrash
from crunchbed.faults.partition import Partition
from crunchbed.faults.resize_reserve import ResizeReserve
from crunchbed.faults.slow_disk import SlowDisk
from crunchbed.faults.stall import STALLED_DAEMONS, Stall
from crunchbed.faults.switch_crash import SwitchCrash
from crunchbed.faults.target_crash import TargetCrash

if TYPE_CHECKING:
    pass

__all__ = [
    "CONTROLLER",
    "FAULT_KINDS",
    "MODELS",
    "RANDOM",
    "STALLED_DAEMONS",
    "STORAGE",
    "AgentCrash",
    "ArpExpiry",
    "Burst",
    "ControllerCrash",
    "Delay",
    "Fault",
    "FaultSection",
    "Faults",
    "LinkDown",
    "Loss",
    "NodeCrash",
    "Partition",
    "ResizeReserve",
    "SlowDisk",
    "Stall",
    "SwitchCrash",
    "TargetCrash",
]
