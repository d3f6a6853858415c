"""Linux bridges and pairs of virtual Ethernet interfaces, made through netlink."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from reserve_agent.errors import CrunchbedError


class VethEnd(NamedTuple):
    """One end of a pair: its name, hardware address, and a process in its network namespace."""

    name: str
    mac: str
    pid: int


def make_pair(one: VethEnd, other: VethEnd) -> None:
    """Make both ends of a pair, each in its namespace; neither is up."""
    with IPRoute() as netlink:
        try:
            netlink.link("add", kind="veth", **_attributes(one), peer=_attributes(other))
        except NetlinkError as error:
            raise CrunchbedError(f"cannot make link {one.name}, {other.name}: {error}") from error


def _attributes(end: VethEnd) -> dict[str, object]:
    return {"ifname": end.name, "address": end.mac, "net_ns_pid": end.pid}


def silence_ipv6(interface: str) -> None:
    """Keep the root namespace from sending IPv6 packets of its own on this interface."""
    setting = Path("/proc/sys/net/ipv6/conf", interface, "disable_ipv6")
    if setting.exists():
        setting.write_text("1")


def make_bridge(name: str, ports: list[str]) -> None:
    """Make a bridge with these ports, without spanning tree and IGMP snooping, and set it up.

    Raises CrunchbedError where the kernel refuses; ``make_pair`` does so too.
    """
    with IPRoute() as netlink:
        try:
            netlink.link("add", ifname=name, kind="bridge", br_stp_state=0, br_mcast_snooping=0)
            silence_ipv6(name)
            index = netlink.link_lookup(ifname=name)[0]
            for port in ports:
                netlink.link("set", ifname=port, master=index)
            netlink.link("set", index=index, state="up")
        except NetlinkError as error:
            raise CrunchbedError(f"cannot make bridge {name}: {error}") from error


def attached_ports(bridge: str) -> set[str]:
    """The interfaces on a bridge; none if there is no such bridge."""
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=bridge)
        if not index:
            return set()
        links = netlink.get_links()
        return {link.get("ifname") for link in links if link.get("master") == index[0]}
