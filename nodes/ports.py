"""Network links and neighbours, by netlink: set up or down, asked about, forgotten, deleted."""

from __future__ import annotations

import errno
import socket

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from nodes.netlink import tolerated
from reserve_agent.errors import CrunchbedError

_NUD_INCOMPLETE = 0x01
_NUD_FAILED = 0x20
_NUD_LEARNT = 0x02 | 0x04 | 0x08 | 0x10  # reachable, stale, delay, probe
_NUD_PERMANENT = 0x80


def set_link(name: str, *, up: bool) -> None:
    """Set a link up or down; a node behind it gets or loses its carrier at once.

    Raises CrunchbedError where there is no such link.
    """
    with IPRoute() as netlink:
        try:
            netlink.link("set", ifname=name, state="up" if up else "down")
        except NetlinkError as error:
            state = "up" if up else "down"
            raise CrunchbedError(f"cannot set link {name} {state}: {error}") from error


def is_operational(name: str) -> bool:
    """Return whether a link of this thread's namespace passes packets, beyond being set up.

    The kernel may notice a carrier that has come back only a second later, and starts the link's
    queues only then.
    """
    with IPRoute() as netlink:
        links = netlink.get_links(ifname=name)
    return any(link.get_attr("IFLA_OPERSTATE") == "UP" for link in links)


def addresses_asked_for() -> set[str]:
    """Return the IPv4 addresses that this thread's namespace waits to resolve.

    Packets to these addresses wait too. An ARP request that was lost is repeated after a second.
    """
    with IPRoute() as netlink:
        entries = netlink.get_neighbours(family=socket.AF_INET)
    return {entry.get_attr("NDA_DST") for entry in entries if entry["state"] & _NUD_INCOMPLETE}


def forget_neighbours() -> int:
    """Delete the resolved IPv4 neighbours of this thread's namespace; returns how many."""
    return _forget(_NUD_LEARNT | _NUD_PERMANENT)


def forget_learnt_neighbours() -> int:
    """Delete the IPv4 neighbours that this thread's namespace has learnt or asks for: it boots.

    Packets that wait for one are dropped. Returns how many neighbours.
    """
    return _forget(_NUD_LEARNT | _NUD_INCOMPLETE | _NUD_FAILED)


def _forget(states: int) -> int:
    forgotten = 0
    with IPRoute() as netlink:
        for entry in netlink.get_neighbours(family=socket.AF_INET):
            if entry["state"] & states:
                with tolerated(errno.ENOENT):  # gone by itself
                    netlink.neigh("del", dst=entry.get_attr("NDA_DST"), ifindex=entry["ifindex"])
                    forgotten += 1
    return forgotten


def delete_links(names: list[str]) -> None:
    """Delete links; a link that is gone already is no error."""
    with IPRoute() as netlink:
        for name in names:
            try:
                with tolerated(errno.ENODEV):
                    netlink.link("del", ifname=name)
            except NetlinkError as error:
                raise CrunchbedError(f"cannot delete link {name}: {error}") from error
