"""The configuration file of a node's corosync daemon.

Written by the runner, so checked only as far as a mistake would otherwise be hard to find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodes.settings import read_settings
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
class CorosyncConfig:
    """Settings of one node.

    Attributes:
        node: logical name.
        cluster: name of the cluster, the same on all of its nodes.
        addresses: IPv4 addresses of every configured node by name, in the order of their ids; one
            for each of the rings, which knet calls links.
        port: UDP port of all nodes.
        totem: time-outs.
        events: the agent's Unix socket.
        fence: the fence service's Unix socket.
        listeners: Unix sockets of others on the node that are told of every view.
        keep: directories that stay visible where corosync gets its own: those with sockets.
        fence_timeout_ns: when an unanswered fence request is made again.
    """

    node: str
    cluster: str
    addresses: Mapping[str, tuple[str, ...]]
    port: int
    totem: Totem
    events: str
    fence: str
    listeners: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    fence_timeout_ns: int = 2_000_000_000

    @property
    def rings(self) -> int:
        """How many rings there are."""
        return len(self.addresses[self.node])

    @property
    def ids(self) -> dict[str, int]:
        """Corosync's id of every node by name; the lowest is 1."""
        return {name: number for number, name in enumerate(self.addresses, 1)}


def load_config(path: Path) -> CorosyncConfig:
    """Read a configuration file.

    Raises:
        BadInput: it cannot be read, or has an unknown, missing or impossible setting.
    """
    try:
        record = read_settings(path, CorosyncConfig)
        totem = Totem(**record.pop("totem"))
        listeners, keep = (tuple(record.pop(name, ())) for name in ("listeners", "keep"))
        told = record.pop("addresses")
        if any(isinstance(each, str) for each in told.values()):
            raise BadInput(f"{path}: addresses: expected a list for each node, one on each ring")
        addresses = {name: tuple(each) for name, each in told.items()}
        config = CorosyncConfig(
            totem=totem, listeners=listeners, keep=keep, addresses=addresses, **record
        )
        if config.node not in addresses:
            raise BadInput(f"{path}: no address of {config.node}")
        if not config.rings or any(len(each) != config.rings for each in addresses.values()):
            raise BadInput(f"{path}: every node needs an address on each ring")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"{path}: {error}") from error
    return config
