"""What a switch holds: flows, meters and groups, as values that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from reserve_agent.controller.rules.cookie import Cookie

Value = int | str
"""Of a match field or a set field: a number or an address; a mask comes after a slash."""


@dataclass(frozen=True)
class Output:
    """Send out of a port; ``IN_PORT`` and ``CONTROLLER`` are ports too (see ``ports``)."""

    port: int


@dataclass(frozen=True)
class SetField:
    """Write a header field, named as in OpenFlow 1.3: ``eth_dst``, ``ip_dscp``."""

    name: str
    value: Value


@dataclass(frozen=True)
class ToGroup:
    """Have a group decide."""

    group: int


Action = Output | SetField | ToGroup


@dataclass(frozen=True)
class FlowKey:
    """What makes a flow the one it is: table, priority and match.

    ``match`` is in the order of its names, fields named as in OpenFlow 1.3; see ``match_of``.
    """

    table: int
    priority: int
    match: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class Flow:
    """A flow entry; what it does goes in the order of the attributes.

    Attributes:
        key: Table, priority, match.
        cookie: What it is for; without the epoch.
        meter: Goes through this meter first; 0 for none.
        actions: Applied at once.
        cls: Class to write into the metadata.
        goto: Table where the packet goes on; None ends here.
        idle_timeout: Seconds without a packet until it removes itself; 0 for never.
    """

    key: FlowKey
    cookie: Cookie
    meter: int = 0
    actions: tuple[Action, ...] = ()
    cls: int | None = None
    goto: int | None = None
    idle_timeout: int = 0


@dataclass(frozen=True)
class Meter:
    """Drops what is above a rate."""

    rate_kbit: int
    burst_kbit: int


@dataclass(frozen=True)
class Bucket:
    """One way of a fast-failover group: taken while ``watch`` is up and none before it is."""

    watch: int
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Group:
    """Fast failover: the first bucket whose port is up."""

    buckets: tuple[Bucket, ...]
    kind: Literal["failover"] = "failover"


@dataclass(frozen=True)
class SwitchState:
    """All that a switch should hold."""

    flows: Mapping[FlowKey, Flow] = field(default_factory=dict)
    meters: Mapping[int, Meter] = field(default_factory=dict)
    groups: Mapping[int, Group] = field(default_factory=dict)


def match_of(**fields: Value) -> tuple[tuple[str, Value], ...]:
    """A match, the same for the same fields in any order."""
    return tuple(sorted(fields.items()))
