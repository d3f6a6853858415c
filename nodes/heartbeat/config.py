"""The heartbeat daemon's configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodes.membership.settings import HeartbeatSettings, Peer
from reserve_agent.errors import BadInput


@dataclass(frozen=True)
class NetworkPeer(Peer):
    """Another node and its IPv4 addresses, one on each ring."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HeartbeatConfig(HeartbeatSettings):
    """Settings of one daemon.

    Attributes:
        addresses: The node's own IPv4 addresses, one on each ring, which its sockets are bound to.
        events: The agent's Unix socket; ``fence`` is the fence service's.
        port: UDP port of all nodes.
        memalloc: Whether to ask for the receive reserve; the daemon ends where it is refused.
        listeners: Unix sockets of other daemons on the node that are told of every view.
    """

    addresses: tuple[str, ...]
    peers: Mapping[str, NetworkPeer]
    events: Path
    fence: Path
    port: int = 7405
    memalloc: bool = False
    listeners: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is impossible, as BadInput."""
        super().__post_init__()
        if any(len(peer.addresses) != self.rings for peer in self.peers.values()):
            raise BadInput("every node needs an address on each ring")

    @property
    def rings(self) -> int:
        """How many rings the heartbeats go by."""
        return len(self.addresses)
