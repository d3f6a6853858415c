"""Which of knet's links to each node are down, by what corosync's log says. Pure."""

from __future__ import annotations


class KnetLinks:
    """The links of one node to its peers.

    Args:
        links: how many lead to each peer.
    """

    def __init__(self, links: int) -> None:
        self._links = links
        self._down: dict[int, set[int]] = {}

    def down(self, node_id: int, link: int) -> bool:
        """A link is down; whether it was the last that led to this node."""
        down = self._down.setdefault(node_id, set())
        down.add(link)
        return len(down) >= self._links

    def up(self, node_id: int, link: int) -> None:
        """A link is up again, or for the first time."""
        self._down.get(node_id, set()).discard(link)
