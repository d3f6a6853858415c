"""Switches: their OpenFlow controller, what it sheds, and what they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from reserve_agent.contract.events.base import Event


@dataclass(frozen=True, kw_only=True)
class ControllerStarted(Event):
    """A controller process begins its work.

    Attributes:
        framework: ``os_ken`` or ``ryu``.
        metrics_port: Port on 127.0.0.1 that serves its metrics.
    """

    kind: ClassVar[str] = "controller.start"
    framework: str
    metrics_port: int = 0


@dataclass(frozen=True, kw_only=True)
class ControllerReady(Event):
    """Every switch holds every flow for the first time in the run.

    Attributes:
        switches: Number of switches.
        flows: Number of flows in all of them.
    """

    kind: ClassVar[str] = "controller.ready"
    switches: int = 0
    flows: int = 0


@dataclass(frozen=True, kw_only=True)
class ControllerBack(Event):
    """Every switch holds every flow again, after a switch or a controller was away.

    Attributes:
        switches: Number of switches.
        flows: Number of flows in all of them.
    """

    kind: ClassVar[str] = "controller.back"
    switches: int = 0
    flows: int = 0


@dataclass(frozen=True, kw_only=True)
class ControllerRestarted(Event):
    """A new controller goes on where a killed controller has stopped."""

    kind: ClassVar[str] = "controller.restarted"


@dataclass(frozen=True, kw_only=True)
class ControllerLost(Event):
    """A switch has lost its connection to the controller; the switch still forwards.

    Attributes:
        switch: Name of the switch.
    """

    kind: ClassVar[str] = "controller.lost"
    switch: str


@dataclass(frozen=True, kw_only=True)
class ControllerDiffers(Event):
    """A switch does not hold the flows that the controller gave it.

    Attributes:
        switch: Name of the switch.
        reason: What differs.
    """

    kind: ClassVar[str] = "controller.differs"
    switch: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ControllerStranger(Event):
    """A switch that does not belong to the run has connected.

    Attributes:
        dpid: Datapath id of the switch.
    """

    kind: ClassVar[str] = "controller.stranger"
    dpid: int


@dataclass(frozen=True, kw_only=True)
class TreeChanged(Event):
    """Floods take another tree, since a link between switches went down or up.

    Attributes:
        links: Pairs of switches that the tree joins.
    """

    kind: ClassVar[str] = "controller.tree"
    links: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class OpenFlowRefused(Event):
    """A switch has refused a request.

    Attributes:
        switch: Name of the switch.
        reason: What the switch said.
    """

    kind: ClassVar[str] = "openflow.error"
    switch: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class OpenFlowMalformed(Event):
    """The OpenFlow port has received data that is no OpenFlow.

    Attributes:
        reason: What was wrong.
        count: How often since the last event of this reason.
    """

    kind: ClassVar[str] = "openflow.malformed"
    reason: str
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class PressureRefused(Event):
    """The controller has refused a message about pressure.

    Attributes:
        reason: Why the message was refused.
        count: How often since the last event of this reason.
    """

    kind: ClassVar[str] = "pressure.refused"
    reason: str
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class ConnectionClassified(Event):
    """A connection was classified by its first bytes.

    Attributes:
        source: Address and port that opened the connection.
        destination: Address and port that the connection was opened to.
        cls: Class of the connection's packets.
    """

    kind: ClassVar[str] = "connection.classified"
    source: str
    destination: str
    cls: str


@dataclass(frozen=True, kw_only=True)
class ShedApplied(Event):
    """The switches have begun or ended to keep traffic from a node.

    Times are nanoseconds of CLOCK_MONOTONIC.

    Attributes:
        target: Name of the node.
        on: Whether the switches have begun; False: they have ended.
        episode: Number of the node's pressure episode.
        pressure_at: When the pressure began or ended, by the hooks' clock.
        received_at: When the controller got the message about the pressure.
        in_force_at: When the last switch had confirmed the changed flows (barrier reply).
    """

    kind: ClassVar[str] = "shed.applied"
    target: str
    on: bool
    episode: int = 0
    pressure_at: int = 0
    received_at: int = 0
    in_force_at: int


SwitchRow = Sequence[str | int]
"""Node, class, packets, bytes."""


@dataclass(frozen=True, kw_only=True)
class SwitchPacketsCounted(Event):
    """What the switches have counted, by node and class.

    Attributes:
        table: Rows of node, class, packets, bytes: what came for each node.
        dropped: Rows of node, class, packets: what was shed of it.
    """

    kind: ClassVar[str] = "switch.packets"
    table: Sequence[SwitchRow]
    dropped: Sequence[SwitchRow] = ()
