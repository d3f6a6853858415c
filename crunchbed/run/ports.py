"""A host's switch port, which both its power and a fault may hold down."""

from __future__ import annotations

from topologies.node import ClusterNode


class SwitchPort:
    """Up while its host has power and no fault cuts it.

    Without this a reboot in the middle of a link failure would mend the link.
    """

    def __init__(self, host: ClusterNode) -> None:
        self._host = host
        self._powered = True
        self._cuts = 0

    @property
    def name(self) -> str:
        """Name of the interface in the root namespace."""
        return self._host.switch_port

    def power(self, on: bool) -> None:
        """Follow the host's power switch."""
        self._powered = on
        self._set()

    def cut(self) -> None:
        """A fault takes it down; as many ``mend`` bring it back."""
        self._cuts += 1
        self._set()

    def mend(self) -> None:
        """One fault less."""
        self._cuts -= 1
        self._set()

    def _set(self) -> None:
        self._host.set_port(self._powered and self._cuts == 0)
