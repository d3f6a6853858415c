"""What the nodes of a cluster share that all run in one process."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.membership.roster import Roster


@dataclass(frozen=True)
class Cluster:
    """Nodes that hand on what they say as values, in place of datagrams with bytes.

    Such a cluster may have any number of nodes, and what most nodes know alike is kept once.

    Attributes:
        roster: All nodes.
        settled: Whether every node that is not joining begins as if it had heard of all others
            already that they hold the first view. Otherwise each tells all others at its start, as
            daemons do: n * n datagrams in each of the first intervals.
    """

    roster: Roster
    settled: bool = False
