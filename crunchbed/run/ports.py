"""A host's switch port, which both its power and a fault may hold down."""

from __future__ import annotations

from collections.abc import Iterable

from topologies.node import ClusterNode


class SwitchPort:
    """Up while its host has power and no fault cuts it.

    Without this a reboot in the middle of a link failure would mend the link.
    """

    def __init__(self, host: ClusterNode) -> None:
        self.host = host
        self._powered = True
        self._cuts = 0

    @property
    def name(self) -> str:
        """Name of the interface in the root namespace."""
        return self.host.switch_port

    def power(self, on: bool) -> None:
        """Follow the host's power switch."""
        self._powered = on
        self._set()

    def cut(self) -> None:
        """A fault takes it down; as many ``mend`` bring it back."""
        self._cuts += 1
        self._set()

    def mend(self) -> bool:
        """One fault less; returns whether that was the last."""
        self._cuts -= 1
        self._set()
        return self._cuts == 0

    def settled(self, others: Iterable[ClusterNode]) -> bool:
        """Whether the link does what the port is set to: it comes back later than its port.

        The kernel takes its time to notice the carrier, and then a packet may wait for an address
        that was asked for while the link was down.
        """
        if not self._up:
            return True
        return (
            self.host.has_link()
            and not self.host.addresses_asked_for()
            and not any(
                other.addresses_asked_for().intersection(self.host.addresses) for other in others
            )
        )

    @property
    def _up(self) -> bool:
        return self._powered and self._cuts == 0

    def _set(self) -> None:
        self.host.set_port(self._up)
