"""Pairs of virtual Ethernet interfaces, made where they belong."""

from __future__ import annotations

from typing import NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from reserve_agent.errors import CrunchbedError


class VethEnd(NamedTuple):
    """One end: its name, hardware address, and a process in its network namespace."""

    name: str
    mac: str
    pid: int


def make_pair(one: VethEnd, other: VethEnd) -> None:
    """Make both ends, down, each in its namespace.

    Raises:
        CrunchbedError: the kernel refused: a name that is taken, say.
    """
    with IPRoute() as netlink:
        try:
            netlink.link(
                "add",
                kind="veth",
                **_attributes(one),
                peer=_attributes(other),
            )
        except NetlinkError as error:
            raise CrunchbedError(f"cannot make link {one.name}, {other.name}: {error}") from error


def _attributes(end: VethEnd) -> dict[str, object]:
    return {"ifname": end.name, "address": end.mac, "net_ns_pid": end.pid}
