"""Membership: suspicions, views, fences, ejections."""

from __future__ import annotations

from collections.abc import Sequence

from reserve_agent.contract.events.base import Event


class MembershipSuspected(Event, kind="membership.suspect"):
    """A node begins to believe that a peer is dead.

    Attributes:
        peer: The node that is suspected.
        misses: Heartbeats of the peer missed in a row; 0 where the detector does not count them.
    """

    peer: str
    misses: int


class MembershipCleared(Event, kind="membership.clear"):
    """A node does not suspect a peer any more.

    Attributes:
        peer: The node that was suspected.
    """

    peer: str


class ViewInstalled(Event, kind="membership.view"):
    """A node has a new view of who is a member.

    Attributes:
        number: Number of the view; a later view has a higher number.
        members: Nodes in the view. Only their number in a simulation of more than 64 nodes: all are
            in the first view, and every other one says what it has changed.
        removed: Nodes that the view before had and this one lacks.
        added: Nodes that this view has and the one before lacked, or had in an earlier life.
        quorate: Whether the members have quorum, so that they may decide.
    """

    number: int
    members: Sequence[str] | int
    removed: Sequence[str] = ()
    added: Sequence[str] = ()
    quorate: bool = True

    @property
    def size(self) -> int:
        """How many nodes are in the view."""
        return self.members if isinstance(self.members, int) else len(self.members)

    @property
    def names(self) -> Sequence[str]:
        """Nodes in the view, as far as it names them."""
        return () if isinstance(self.members, int) else self.members


class FenceRequested(Event, kind="membership.fence_request"):
    """A membership daemon asks for a fence.

    Attributes:
        target: The node that is to be fenced.
        view: Number of the view that the request comes from.
    """

    target: str
    view: int


class FenceStarted(Event, kind="fence.start"):
    """The fence device begins to cut a node off.

    Attributes:
        target: The node that is cut off.
        by: The node that asked for the fence.
    """

    target: str = ""
    by: str = ""


class FenceConfirmed(Event, kind="fence.confirmed"):
    """The fence device says that a node is cut off.

    Attributes:
        target: The node that is cut off.
        by: The node that asked for the fence.
    """

    target: str = ""
    by: str = ""


class FenceDelayed(Event, kind="fence.delayed"):
    """The fence device carries a request out later (``fencing.delay``, fault ``fence-failure``).

    Attributes:
        target: The node that is to be cut off.
        by: The node that asks for the fence.
        delay_ns: By how much later.
    """

    target: str
    by: str
    delay_ns: int


class FenceFailed(Event, kind="fence.failed"):
    """The fence device could not cut a node off (fault ``fence-failure``).

    Attributes:
        target: The node that was to be cut off.
        by: The node that asked for the fence.
    """

    target: str
    by: str


class NodeEjected(Event, kind="node.ejected"):
    """The membership removed this node, and the fence took it down.

    Attributes:
        reason: Why the peers removed the node: ``heartbeats_missed``.
        false: Whether the node was up and no fault cut it off, as the run knows.
        delay_ns: From the node's power-off or cut-off to the fence, nanoseconds; None for a false
            ejection.
    """

    reason: str
    false: bool
    delay_ns: int | None = None
