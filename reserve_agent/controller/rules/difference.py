"""What makes one switch's state into another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from reserve_agent.controller.rules.state import Flow, FlowKey, Group, Meter, SwitchState

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Difference:
    """Changes in a safe order: groups and meters come before the flows that refer to them.

    Attributes:
        new_meters, changed_meters: Meters to make and to change.
        new_groups, changed_groups: The same for groups.
        put: Flows to make; a flow with the same key is replaced, and its counters stay.
        gone: Flows to remove.
        gone_groups, gone_meters: Groups and meters that no flow refers to any more.
    """

    new_meters: Mapping[int, Meter] = field(default_factory=dict)
    changed_meters: Mapping[int, Meter] = field(default_factory=dict)
    new_groups: Mapping[int, Group] = field(default_factory=dict)
    changed_groups: Mapping[int, Group] = field(default_factory=dict)
    put: tuple[Flow, ...] = ()
    gone: tuple[FlowKey, ...] = ()
    gone_groups: tuple[int, ...] = ()
    gone_meters: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return any(vars(self).values())


def difference(have: SwitchState, want: SwitchState) -> Difference:
    """What has to be done to a switch that holds ``have`` so that it holds ``want``."""
    new_meters, changed_meters = _new_and_changed(have.meters, want.meters)
    new_groups, changed_groups = _new_and_changed(have.groups, want.groups)
    new_flows, changed_flows = _new_and_changed(have.flows, want.flows)
    return Difference(
        new_meters,
        changed_meters,
        new_groups,
        changed_groups,
        put=(*new_flows.values(), *changed_flows.values()),
        gone=tuple(key for key in have.flows if key not in want.flows),
        gone_groups=tuple(number for number in have.groups if number not in want.groups),
        gone_meters=tuple(number for number in have.meters if number not in want.meters),
    )


def _new_and_changed(have: Mapping[K, V], want: Mapping[K, V]) -> tuple[dict[K, V], dict[K, V]]:
    new = {key: value for key, value in want.items() if key not in have}
    changed = {key: value for key, value in want.items() if key in have and have[key] != value}
    return new, changed
