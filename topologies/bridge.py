"""A Linux bridge as the switch of a run, through netlink."""

from __future__ import annotations

from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from reserve_agent.errors import CrunchbedError


def silence_ipv6(interface: str) -> None:
    """Keep the root namespace from speaking IPv6 (solicitations, reports) into a run's network."""
    setting = Path("/proc/sys/net/ipv6/conf", interface, "disable_ipv6")
    if setting.exists():
        setting.write_text("1")


def make_bridge(name: str, ports: list[str]) -> None:
    """Make a bridge without spanning tree and IGMP snooping, up, with these ports.

    Raises:
        CrunchbedError: the kernel refused.
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
    """The interfaces on a bridge."""
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=bridge)
        if not index:
            return set()
        links = netlink.get_links()
        return {link.get("ifname") for link in links if link.get("master") == index[0]}
