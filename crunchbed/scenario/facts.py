"""What a section of a scenario may ask of the rest: plain values, so that sections import no other.

Durations are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

Contradiction = tuple[str, str, str]
"""Two keys that do not go together: the dotted key at fault, what was expected, what was got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """The cluster of one scenario.

    Attributes:
        node_names: the cluster nodes ``n1``, ``n2``, ...; the storage host is not one of them.
        pair: the cluster nodes that serve the block device; empty where the storage host does.
        topology: ``cluster.topology``.
        networks: the networks that a cluster node has a link to.
        storage_networks: the networks that the storage host has a link to.
        switches: the switches ``s1``, ``s2``, ...
        controller: ``cluster.controller``; ``none`` where the switches have no controller.
        transport: ``block_io.transport``.
        membership: which membership protocol runs.
        removal_ns: time without a heartbeat after which a peer is as good as out of the view.
        inject_ns: the longest time that the inject phase may last.
    """

    node_names: tuple[str, ...]
    pair: tuple[str, ...]
    topology: str
    networks: tuple[str, ...]
    storage_networks: tuple[str, ...]
    switches: tuple[str, ...]
    controller: str
    transport: str
    membership: str
    removal_ns: int
    inject_ns: int

    @property
    def writers(self) -> tuple[str, ...]:
        """The nodes that write: all of the cluster but those that serve the device."""
        return tuple(name for name in self.node_names if name not in self.pair)

    def networks_of(self, host: str) -> tuple[str, ...]:
        """The networks that a host has a link to; ``random`` is some cluster node."""
        return self.storage_networks if host == "storage" else self.networks
