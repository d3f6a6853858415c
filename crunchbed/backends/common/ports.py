"""A host's switch ports, which both its power and a fault may hold down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from topologies.node import ClusterNode, NodeLink


class SwitchPort:
    """A host's ports, one for each link; a port is up while the host has power and no cut is on.

    Were cuts not counted here, a reboot in the middle of a link failure would mend the link.
    """

    def __init__(self, host: ClusterNode) -> None:
        self.host = host
        self._powered = True
        self._cuts: Counter[NodeLink] = Counter()

    def power(self, on: bool) -> None:
        """Follow the host's power switch: all its links."""
        self._powered = on
        self._set()

    def cut(self, network: str | None = None) -> None:
        """Take the link to a network down, or all links; as many ``mend`` bring it back."""
        self._cuts.update(self._links(network))
        self._set()

    def mend(self, network: str | None = None) -> bool:
        """Take one cut back; returns whether no cut of these links is left."""
        links = self._links(network)
        self._cuts.subtract(links)
        self._set()
        return not any(self._cuts[link] for link in links)

    def _links(self, network: str | None) -> list[NodeLink]:
        return [link for link in self.host.links if network in (None, link.network)]

    def settled(self, others: Iterable[ClusterNode]) -> bool:
        """Whether packets pass all links whose ports are up, which is later than the ports are.

        The kernel takes its time to notice the carrier; then a packet from or to one of all
        ``others`` may wait for an address that was asked for while the link was down.
        """
        up = [link for link in self.host.links if self._is_up(link)]
        if not up:
            return True
        return (
            self.host.has_links(up)
            and not self.host.addresses_asked_for()
            and not any(
                other.addresses_asked_for().intersection(self.host.addresses) for other in others
            )
        )

    def _is_up(self, link: NodeLink) -> bool:
        return self._powered and self._cuts[link] == 0

    def _set(self) -> None:
        for link in self.host.links:
            self.host.set_port(link, self._is_up(link))
