"""Links of the root namespace: up, down, gone."""

from __future__ import annotations

import errno

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from reserve_agent.errors import CrunchbedError


def set_link(name: str, *, up: bool) -> None:
    """Set a link up or down; a node behind it gets or loses its carrier at once.

    Raises:
        CrunchbedError: there is no such link.
    """
    with IPRoute() as netlink:
        try:
            netlink.link("set", ifname=name, state="up" if up else "down")
        except NetlinkError as error:
            state = "up" if up else "down"
            raise CrunchbedError(f"cannot set link {name} {state}: {error}") from error


def delete_links(names: list[str]) -> None:
    """Delete links; one that is gone already is no error."""
    with IPRoute() as netlink:
        for name in names:
            try:
                netlink.link("del", ifname=name)
            except NetlinkError as error:
                if error.code != errno.ENODEV:
                    raise CrunchbedError(f"cannot delete link {name}: {error}") from error
