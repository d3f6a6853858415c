"""What a kind of fault can do, and what it may touch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from crunchbed.backends.namespaces.controller import LiveController
from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.backends.namespaces.ports import SwitchPort
from crunchbed.history.recorder import Recorder
from crunchbed.run.faults.lossy_links import LossyWire
from crunchbed.run.supervisor import Supervisor
from nodes.process import Process
from topologies.power import SwitchPower


class NotPossible(Exception):
    """The fault meets nothing that it could hit, such as a node that is down already."""


class Fault(Protocol):
    """One fault. ``undo`` follows every ``begin``, also one that failed half-way."""

    def begin(self) -> Mapping[str, Any]:
        """Do it; returns what the history should say besides kind and target.

        Raises:
            NotPossible: there was nothing to do it to.
        """

    def undo(self) -> None:
        """Take it back; what it hit may be gone."""


@runtime_checkable
class Lingering(Protocol):
    """A fault without an end of its own, which the injection waits for."""

    def lingers(self) -> bool:
        """Whether what it did still goes on."""


@runtime_checkable
class Settling(Protocol):
    """A fault that has an effect for a moment after it was undone."""

    def settling(self) -> bool:
        """Whether it still has; asked again and again after ``undo``."""


class TargetSwitch(Protocol):
    """Ends and starts the storage host's block target."""

    def kill_target(self) -> None:
        """SIGKILL it; nobody minds that it is gone."""

    def start_target(self, write_delay_ns: int = 0) -> None:
        """Start it on the same data; returns when it listens."""


@dataclass(frozen=True)
class World:
    """What faults act on.

    Attributes:
        nodes: The cluster's nodes by name.
        addresses: IPv4 addresses of every host, the storage host among them.
        ports: Switch ports by host, the storage host among them.
        wire: Simulated loss of all nodes together.
        supervisor: Who may power nodes on.
        recorder: The run's part of the history.
        target: The storage host's block target.
        switches: The power of the switches.
        controller: The OpenFlow controller; None where the switches have none.
    """

    nodes: Mapping[str, LiveNode]
    addresses: Mapping[str, tuple[str, ...]]
    ports: Mapping[str, SwitchPort]
    wire: LossyWire
    supervisor: Supervisor
    recorder: Recorder
    target: TargetSwitch
    switches: SwitchPower
    controller: LiveController | None = None


def running(node: LiveNode, names: tuple[str, ...]) -> list[Process]:
    """Return the daemons of a node by name.

    Raises:
        NotPossible: the node is down.
    """
    if not node.up:
        raise NotPossible(f"{node.name} was down")
    return [node.daemons[name] for name in names if name in node.daemons]
