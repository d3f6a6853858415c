"""A tap in place of a host's own network stack, for a virtual machine that is the host."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from reserve_agent.errors import CrunchbedError
from reserve_agent.netns import network_namespace_of
from topologies.links import silence_ipv6
from topologies.node import ClusterNode, NodeLink
from topologies.offloads import switch_offloads_off
from topologies.wiring import run_tc

_EVERY_PACKET: Final = "1,6 0 0 4294967295,"
"""A classic BPF program of one instruction, "return -1": distributions' kernels have matchall for
this, but the hooks of namespaces need the BPF classifier anyway."""
_PERMANENT: Final = 0x80  # NUD_PERMANENT


def tap_name(link: NodeLink) -> str:
    """Return the name of the tap of a link; it has the run's id in it as the link's name has."""
    return link.interface.replace("-eth", "-tap")


def plug_tap(node: ClusterNode, link: NodeLink) -> str:
    """Make a tap in a host's namespace, and join it to the host's end of a link; returns its name.

    What comes by the link leaves by the tap, and the other way round, before the namespace's own
    network stack sees it. The link's address goes, and whoever opens the tap takes its place, with
    the link's hardware address too. The link stays shaped. The tap ends with the namespace.

    Raises:
        CrunchbedError: The kernel refused.
    """
    tap = tap_name(link)
    with network_namespace_of(node.pid):
        try:
            _make(tap, link.interface)
        except (NetlinkError, OSError) as error:
            raise CrunchbedError(f"cannot make tap {tap}: {error}") from error
        switch_offloads_off(tap)
        run_tc([*_redirect(link.interface, tap), *_redirect(tap, link.interface)])
    return tap


def _make(tap: str, interface: str) -> None:
    with IPRoute() as netlink:
        netlink.link("add", ifname=tap, kind="tuntap", mode="tap")
        for name in (tap, interface):
            silence_ipv6(name)
        netlink.flush_addr(index=socket.if_nametoindex(interface))
        netlink.link("set", ifname=tap, state="up")


def _redirect(source: str, target: str) -> tuple[str, str]:
    """Return lines for tc that send all that comes into ``source`` out of ``target``."""
    return (
        f"qdisc replace dev {source} clsact",
        f"filter replace dev {source} ingress protocol all pref 1 handle 1"
        f" bpf bytecode '{_EVERY_PACKET}' action mirred egress redirect dev {target}",
    )


def know_neighbours(node: ClusterNode, link: NodeLink, neighbours: Mapping[str, str]) -> None:
    """Give a host permanent neighbours on a link: hardware address by IPv4 address.

    Raises:
        CrunchbedError: The kernel refused.
    """
    with network_namespace_of(node.pid), IPRoute() as netlink:
        index = socket.if_nametoindex(link.interface)
        for address, mac in neighbours.items():
            try:
                netlink.neigh("replace", dst=address, lladdr=mac, ifindex=index, state=_PERMANENT)
            except NetlinkError as error:
                raise CrunchbedError(f"cannot set neighbour {address}: {error}") from error
