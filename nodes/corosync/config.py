"""The configuration file of a node's corosync daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reserve_agent.errors import BadInput


@dataclass(frozen=True)
class Totem:
    """The time-outs of corosync's totem protocol by their own names, in milliseconds.

    ``consensus`` is corosync's default, 1.2 x token, where it is None.
    """

    token: int
    token_coefficient: int
    token_retransmits_before_loss_const: int
    join: int
    consensus: int | None = None


@dataclass(frozen=True, kw_only=True)
class CorosyncSettings:
    """What one node's corosync is told, and what is to follow from what it says.

    Attributes:
        node: Logical name.
        cluster: Name of the cluster, the same on all of its nodes.
        addresses: IPv4 addresses of every configured node by name, in the order of their ids; one
            for each of the rings, which knet calls links.
        port: UDP port of all nodes.
        totem: Time-outs.
        fence_timeout_ns: When an unanswered fence request is made again.
        two_node: votequorum's ``two_node``: one node of two has quorum.
        ignore_quorum: Whether nodes act without quorum as they do with it, see ``ClusterWatch``.
    """

    node: str
    cluster: str
    addresses: Mapping[str, tuple[str, ...]]
    port: int
    totem: Totem
    fence_timeout_ns: int = 2_000_000_000
    two_node: bool = False
    ignore_quorum: bool = False

    def __post_init__(self) -> None:
        """Refuse what is impossible.

        Raises:
            BadInput: An impossible setting.
        """
        if self.node not in self.addresses:
            raise BadInput(f"no address of {self.node}")
        if not self.rings or any(len(each) != self.rings for each in self.addresses.values()):
            raise BadInput("every node needs an address on each ring")

    @property
    def rings(self) -> int:
        """How many rings there are."""
        return len(self.addresses[self.node])

    @property
    def ids(self) -> dict[str, int]:
        """Corosync's id of every node by name; the lowest is 1."""
        return {name: number for number, name in enumerate(self.addresses, 1)}


@dataclass(frozen=True, kw_only=True)
class CorosyncConfig(CorosyncSettings):
    """Settings of the daemon beside one corosync.

    Attributes:
        events: The agent's Unix socket.
        fence: The fence service's Unix socket.
        listeners: Unix sockets of other daemons on the node that are told of every view.
        keep: Directories that stay visible where corosync gets its own: those with sockets.
    """

    events: Path
    fence: Path
    listeners: tuple[Path, ...] = ()
    keep: tuple[Path, ...] = ()
