"""Membership: suspicions, views, fences, ejections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from reserve_agent.contract.events.base import Event


@dataclass(frozen=True, kw_only=True)
class MembershipSuspected(Event):
    """A node begins to believe that a peer is dead.

    Attributes:
        peer: The node that is suspected.
        misses: Heartbeats of the peer missed in a row; 0 where the detector does not count them.
    """

    kind: ClassVar[str] = "membership.suspect"
    peer: str
    misses: int


@dataclass(frozen=True, kw_only=True)
class MembershipCleared(Event):
    """A node does not suspect a peer any more.

    Attributes:
        peer: The node that was suspected.
    """

    kind: ClassVar[str] = "membership.clear"
    peer: str


@dataclass(frozen=True, kw_only=True)
class ViewInstalled(Event):
    """A node has a new view of who is a member.

    Attributes:
        number: Number of the view; a later view has a higher number.
        members: Nodes in the view.
        removed: Nodes that the view before had and this one lacks.
        added: Nodes that this view has and the one before lacked, or had in an earlier life.
        quorate: Whether the members are a majority.
    """

    kind: ClassVar[str] = "membership.view"
    number: int
    members: Sequence[str]
    removed: Sequence[str] = ()
    added: Sequence[str] = ()
    quorate: bool = True


@dataclass(frozen=True, kw_only=True)
class FenceRequested(Event):
    """A membership daemon asks for a fence.

    Attributes:
        target: The node that is to be fenced.
        view: Number of the view that the request comes from.
    """

    kind: ClassVar[str] = "membership.fence_request"
    target: str
    view: int


@dataclass(frozen=True, kw_only=True)
class FenceStarted(Event):
    """The fence device begins to cut a node off.

    Attributes:
        target: The node that is cut off.
        by: The node that asked for the fence.
    """

    kind: ClassVar[str] = "fence.start"
    target: str = ""
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class FenceConfirmed(Event):
    """The fence device says that a node is cut off.

    Attributes:
        target: The node that is cut off.
        by: The node that asked for the fence.
    """

    kind: ClassVar[str] = "fence.confirmed"
    target: str = ""
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class FenceDelayed(Event):
    """The fence device carries a request out later (``fencing.delay``, fault ``fence-failure``).

    Attributes:
        target: The node that is to be cut off.
        by: The node that asks for the fence.
        delay_ns: By how much later.
    """

    kind: ClassVar[str] = "fence.delayed"
    target: str
    by: str
    delay_ns: int


@dataclass(frozen=True, kw_only=True)
class FenceFailed(Event):
    """The fence device could not cut a node off (fault ``fence-failure``).

    Attributes:
        target: The node that was to be cut off.
        by: The node that asked for the fence.
    """

    kind: ClassVar[str] = "fence.failed"
    target: str
    by: str


@dataclass(frozen=True, kw_only=True)
class NodeEjected(Event):
    """The membership removed this node, and the fence took it down.

    Attributes:
        reason: Why the peers removed the node: ``heartbeats_missed``.
        false: Whether the node was up and no fault cut it off, as the run knows.
        delay_ns: From the node's power-off or cut-off to the fence, nanoseconds; None for a false
            ejection.
    """

    kind: ClassVar[str] = "node.ejected"
    reason: str
    false: bool
    delay_ns: int | None = None
