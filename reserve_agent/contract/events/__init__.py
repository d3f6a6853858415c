"""Every kind of event that a history can have; ``docs/history.md`` lists them with their fields.

The names of kinds on disk are ``Event.kind``; a family of kinds is a file here.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final

from reserve_agent.contract.events.base import (
    HERE,
    NOW,
    RUN,
    Event,
    MalformedEvent,
    UnknownEvent,
    shape_of,
)
from reserve_agent.contract.events.faults import (
    BurstBegan,
    CrunchBegan,
    CrunchEnded,
    FaultBegan,
    FaultEnded,
    NodeDown,
    NodeReset,
    NodeUp,
    PortDown,
    PortUp,
)
from reserve_agent.contract.events.heartbeats import (
    HeartbeatLate,
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
    HeartbeatWarned,
    RingDown,
    RingUp,
)
from reserve_agent.contract.events.membership import (
    FenceConfirmed,
    FenceRequested,
    FenceStarted,
    MembershipCleared,
    MembershipSuspected,
    NodeEjected,
    ViewInstalled,
)
from reserve_agent.contract.events.pressure import (
    AgentLate,
    AgentRestarted,
    EmergencyChanged,
    EventsLost,
    HookEventsLost,
    JournalFollowed,
    PacketDropped,
    PacketsCounted,
    PoolConfigured,
    PoolSampled,
    PressureBegan,
    PressureEnded,
    ReserveSmall,
    ReserveUsersCounted,
    SocketAttached,
    SocketDetached,
)
from reserve_agent.contract.events.run import (
    DaemonReady,
    PhaseBegan,
    Recovery,
    RunInfo,
)
from reserve_agent.contract.events.switches import (
    ConnectionClassified,
    ControllerBack,
    ControllerDiffers,
    ControllerLost,
    ControllerReady,
    ControllerRestarted,
    ControllerStarted,
    ControllerStranger,
    OpenFlowMalformed,
    OpenFlowRefused,
    PressureRefused,
    ShedApplied,
    SwitchPacketsCounted,
    TreeChanged,
)
from reserve_agent.contract.events.writes import (
    DirtyProgress,
    IoDisconnected,
    IoReconnected,
    ServiceConfirming,
    ServiceStarted,
    ServiceStopped,
    VerifyResult,
    WriteAcknowledged,
    WriteFailed,
    WritesVerified,
)

KINDS: Final[Mapping[str, type[Event]]] = {
    cls.kind: cls for cls in Event.__subclasses__() if cls is not UnknownEvent
}
"""The event of every kind, by its name on disk."""


def _form(
    cls: type[Event],
) -> tuple[type[Event], itemgetter[tuple[Any, ...]], tuple[tuple[str, str], ...]]:
    """Return how a kind is read: its class, how to get what must be there, other names of keys."""
    shape = shape_of(cls)
    return cls, itemgetter("t", "kind", *shape.required), shape.renamed


_UNKNOWN: Final = _form(UnknownEvent)
_FORMS: Final = {kind: _form(cls) for kind, cls in KINDS.items()}
_new: Final = object.__new__
_set: Final = object.__setattr__  # the dataclass has its own, which refuses


NO_EVENT: Final = "expected an event with t and kind"
"""What is wrong with a JSON value that is no event at all."""


def from_record(record: dict[str, Any]) -> Event:
    """Return the event that a JSON object says.

    The object becomes the new event's ``__dict__``: a million events are read without a copy.

    Raises:
        MalformedEvent: there is no ``kind``, no integer ``t``, or a field of the kind is missing.
    """
    try:
        cls, needed, renamed = _FORMS.get(record["kind"], _UNKNOWN)
        values = needed(record)
    except (KeyError, TypeError, IndexError):
        raise _malformed(record) from None
    if type(values[0]) is not int or type(values[1]) is not str:
        raise MalformedEvent(NO_EVENT)
    if "node" not in record:
        record["node"] = RUN
    if renamed:
        for name, key in renamed:
            if key in record:
                record[name] = record.pop(key)
    event = _new(cls)
    _set(event, "__dict__", record)
    return event


def _malformed(record: object) -> MalformedEvent:
    """Return what is wrong with a JSON value that lacks a field, or is no object at all."""
    if isinstance(record, dict):
        kind, t = record.get("kind"), record.get("t")
        if isinstance(kind, str) and isinstance(t, int) and kind in KINDS:
            missing = ", ".join(sorted(shape_of(KINDS[kind]).required - record.keys()))
            return MalformedEvent(f"{kind}: {missing} missing")
    return MalformedEvent(NO_EVENT)


__all__ = [
    "HERE",
    "KINDS",
    "NOW",
    "NO_EVENT",
    "RUN",
    "AgentLate",
    "AgentRestarted",
    "BurstBegan",
    "ConnectionClassified",
    "ControllerBack",
    "ControllerDiffers",
    "ControllerLost",
    "ControllerReady",
    "ControllerRestarted",
    "ControllerStarted",
    "ControllerStranger",
    "CrunchBegan",
    "CrunchEnded",
    "DaemonReady",
    "DirtyProgress",
    "EmergencyChanged",
    "Event",
    "EventsLost",
    "FaultBegan",
    "FaultEnded",
    "FenceConfirmed",
    "FenceRequested",
    "FenceStarted",
    "HeartbeatLate",
    "HeartbeatMissed",
    "HeartbeatReceived",
    "HeartbeatSent",
    "HeartbeatWarned",
    "HookEventsLost",
    "IoDisconnected",
    "IoReconnected",
    "JournalFollowed",
    "MalformedEvent",
    "MembershipCleared",
    "MembershipSuspected",
    "NodeDown",
    "NodeEjected",
    "NodeReset",
    "NodeUp",
    "OpenFlowMalformed",
    "OpenFlowRefused",
    "PacketDropped",
    "PacketsCounted",
    "PhaseBegan",
    "PoolConfigured",
    "PoolSampled",
    "PortDown",
    "PortUp",
    "PressureBegan",
    "PressureEnded",
    "PressureRefused",
    "Recovery",
    "ReserveSmall",
    "ReserveUsersCounted",
    "RingDown",
    "RingUp",
    "RunInfo",
    "ServiceConfirming",
    "ServiceStarted",
    "ServiceStopped",
    "ShedApplied",
    "SocketAttached",
    "SocketDetached",
    "SwitchPacketsCounted",
    "TreeChanged",
    "UnknownEvent",
    "VerifyResult",
    "ViewInstalled",
    "WriteAcknowledged",
    "WriteFailed",
    "WritesVerified",
    "from_record",
]
