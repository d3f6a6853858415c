"""Switches: their OpenFlow controller, what it sheds, and what they count."""

from __future__ import annotations

from collections.abc import Sequence

from reserve_agent.contract.events.base import Event


class ControllerStarted(Event, kind="controller.start"):
    """A controller process begins its work.

    Attributes:
        framework: ``os_ken`` or ``ryu``.
        metrics_port: Port on 127.0.0.1 that serves its metrics.
    """

    framework: str
    metrics_port: int = 0


class ControllerReady(Event, kind="controller.ready"):
    """Every switch holds every flow for the first time in the run.

    Attributes:
        switches: Number of switches.
        flows: Number of flows in all of them.
    """

    switches: int = 0
    flows: int = 0


class ControllerBack(Event, kind="controller.back"):
    """Every switch holds every flow again, after a switch or a controller was away.

    Attributes:
        switches: Number of switches.
        flows: Number of flows in all of them.
    """

    switches: int = 0
    flows: int = 0


class ControllerRestarted(Event, kind="controller.restarted"):
    """A new controller goes on where a killed controller has stopped."""


class ControllerLost(Event, kind="controller.lost"):
    """A switch has lost its connection to the controller; the switch still forwards.

    Attributes:
        switch: Name of the switch.
    """

    switch: str


class ControllerDiffers(Event, kind="controller.differs"):
    """A switch does not hold the flows that the controller gave it.

    Attributes:
        switch: Name of the switch.
        reason: What differs.
    """

    switch: str
    reason: str


class ControllerStranger(Event, kind="controller.stranger"):
    """A switch that does not belong to the run has connected.

    Attributes:
        dpid: Datapath id of the switch.
    """

    dpid: int


class TreeChanged(Event, kind="controller.tree"):
    """Floods take another tree, since a link between switches went down or up.

    Attributes:
        links: Pairs of switches that the tree joins.
    """

    links: Sequence[Sequence[str]]


class OpenFlowRefused(Event, kind="openflow.error"):
    """A switch has refused a request.

    Attributes:
        switch: Name of the switch.
        reason: What the switch said.
    """

    switch: str
    reason: str


class OpenFlowMalformed(Event, kind="openflow.malformed"):
    """The OpenFlow port has received data that is no OpenFlow.

    Attributes:
        reason: What was wrong.
        count: How often since the last event of this reason.
    """

    reason: str
    count: int = 1


class PressureRefused(Event, kind="pressure.refused"):
    """The controller has refused a message about pressure.

    Attributes:
        reason: Why the message was refused.
        count: How often since the last event of this reason.
    """

    reason: str
    count: int = 1


class ConnectionClassified(Event, kind="connection.classified"):
    """A connection was classified by its first bytes.

    Attributes:
        source: Address and port that opened the connection.
        destination: Address and port that the connection was opened to.
        cls: Class of the connection's packets.
    """

    source: str
    destination: str
    cls: str


class ShedApplied(Event, kind="shed.applied"):
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

    target: str
    on: bool
    episode: int = 0
    pressure_at: int = 0
    received_at: int = 0
    in_force_at: int


SwitchRow = Sequence[str | int]
"""Node, class, packets, bytes."""


class SwitchPacketsCounted(Event, kind="switch.packets"):
    """What the switches have counted, by node and class.

    Attributes:
        table: Rows of node, class, packets, bytes: what came for each node.
        dropped: Rows of node, class, packets: what was shed of it.
    """

    table: Sequence[SwitchRow]
    dropped: Sequence[SwitchRow] = ()
