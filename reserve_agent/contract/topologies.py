"""How a cluster can be wired: the names of the topologies, and of the networks that each has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

Topology = Literal["star", "split", "redundant", "leaf-spine"]
TOPOLOGIES: Final[tuple[Topology, ...]] = get_args(Topology)
NETWORKS: Final[Mapping[str, tuple[str, ...]]] = {
    "star": ("cluster",),
    "split": ("cluster", "storage"),
    "redundant": ("a", "b"),
    "leaf-spine": ("cluster",),
}
"""The networks of each topology, as links and faults name them."""
