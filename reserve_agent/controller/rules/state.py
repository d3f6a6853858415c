"""What a switch holds: flows, meters and groups, as values that can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from reserve_agent.controller.rules.cookie import Cookie

Value = int | str
"""Of a match field or a set field: a number or an address; a mask comes after a slash."""


IN_PORT = 0xFFFF_FFF8
"""As a port to send out of: the one the packet came in by."""
CONTROLLER = 0xFFFF_FFFD
"""As a port to send out of: a copy to the controller."""
ANY_PORT = 0xFFFF_FFFF
"""As a port to watch: none."""
CONTROLLER_METER = 0xFFFF_FFFE
"""The meter that all goes through that is sent to the controller, and nothing else does."""
COPIED_BYTES = 256
"""What the controller gets of a packet: all headers, and the first bytes that say what it is."""


@dataclass(frozen=True)
class Output:
    """Send out of a port; ``IN_PORT`` and ``CONTROLLER`` are ports too."""

    port: int


@dataclass(frozen=True)
class SetField:
    """Write a header field, named as in OpenFlow 1.3: ``eth_dst``, ``ip_dscp``."""

    name: str
    value: Value


@dataclass(frozen=True)
class ToGroup:
    """Hand the packet to a group."""

    group: int


Action = Output | SetField | ToGroup


@dataclass(frozen=True)
class FlowKey:
    """What identifies a flow: table, priority and match.

    ``match`` is in the order of its names, fields named as in OpenFlow 1.3.
    """

    table: int
    priority: int
    match: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, table: int, priority: int, /, **fields: Value) -> FlowKey:
        """The key of a flow that matches these fields."""
        return cls(table, priority, tuple(sorted(fields.items())))


@dataclass(frozen=True)
class Flow:
    """A flow entry; a switch carries it out in the order of the attributes.

    Attributes:
        key: Table, priority, match.
        cookie: What it is for; without the epoch.
        meter: The meter that the packet passes first; 0 for none.
        actions: Actions that are applied at once.
        cls: Class to write into the metadata.
        goto: The next table of the packet; None: there is none.
        idle_timeout: Seconds without a packet until the flow removes itself; 0 for never.
    """

    key: FlowKey
    cookie: Cookie
    meter: int = 0
    actions: tuple[Action, ...] = ()
    cls: int | None = None
    goto: int | None = None
    idle_timeout: int = 0


@dataclass(frozen=True)
class HeldFlow:
    """A flow that a switch holds.

    Attributes:
        flow: The flow as we would make it; None where it is not ours.
        cookie: The cookie as on the wire.
        packets, bytes: Its counters.
    """

    flow: Flow | None
    cookie: int
    packets: int
    bytes: int


@dataclass(frozen=True)
class Meter:
    """Drops what is above a rate.

    Attributes:
        rate: 1000 bits a second, or packets a second.
        burst: 1000 bits, or packets.
        unit: Which of the two.
    """

    rate: int
    burst: int
    unit: Literal["kbit", "packets"] = "kbit"


@dataclass(frozen=True)
class Bucket:
    """One way of a group; a fast-failover group takes it only while the port ``watch`` is up."""

    actions: tuple[Action, ...]
    watch: int = ANY_PORT


@dataclass(frozen=True)
class Group:
    """``failover``: the first bucket whose port is up. ``all``: every bucket gets a copy."""

    buckets: tuple[Bucket, ...]
    kind: Literal["failover", "all"] = "failover"


@dataclass(frozen=True)
class SwitchState:
    """All that a switch should hold."""

    flows: Mapping[FlowKey, Flow] = field(default_factory=dict)
    meters: Mapping[int, Meter] = field(default_factory=dict)
    groups: Mapping[int, Group] = field(default_factory=dict)


def by_key(flows: Iterable[Flow]) -> dict[FlowKey, Flow]:
    """Flows by their keys.

    Raises:
        ValueError: two of them have the same table, priority and match.
    """
    found: dict[FlowKey, Flow] = {}
    for flow in flows:
        if flow.key in found:
            raise ValueError(f"two flows with {flow.key}")
        found[flow.key] = flow
    return found
