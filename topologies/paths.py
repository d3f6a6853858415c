"""A host with two links: one address that either of them leads to.

As sites do whose servers are routers to their own address: it is on the loopback interface, and
everybody else has a route to it by way of each link, at equal cost. A route goes out of use with
the carrier of its own link at once, and when the other host does not answer there any more, which
the kernel asks every second or two.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from reserve_agent.errors import CrunchbedError
from reserve_agent.netns import network_namespace_of
from topologies.node import ClusterNode

_LOOPBACK = 1  # index of lo in every namespace
_HOST = 32  # prefix length
_SETTINGS = Path("/proc/sys/net/ipv4")
_FOR_ALL = {
    # A route by a link without a carrier counts for nothing, and a neighbour that does not
    # answer leaves the packets to the other route. TCP and UDP connections are dealt to both.
    "conf/all/ignore_routes_with_linkdown": 1,
    "fib_multipath_use_neigh": 1,
    "fib_multipath_hash_policy": 1,
    # The link that an answer takes need not be the one that the question came by.
    "conf/all/rp_filter": 2,
    # A link answers and asks for its own address only, or neighbours would learn the wrong one.
    "conf/all/arp_ignore": 1,
    "conf/all/arp_announce": 2,
}
# A neighbour that was silent is asked again after 1 s, three times within 0.6 s.
_FOR_EACH = {
    "base_reachable_time_ms": 1000,
    "delay_first_probe_time": 0,
    "retrans_time_ms": 200,
    "ucast_solicit": 3,
}


def join_paths(node: ClusterNode, others: Iterable[ClusterNode]) -> None:
    """Give a node its own address, and routes to those of all others.

    Args:
        node: its links are up.
        others: those that have an address of their own too.

    Raises:
        CrunchbedError: the kernel refused.
    """
    with network_namespace_of(node.pid):
        _write(_FOR_ALL)
        for interface in node.interfaces:
            _write({f"neigh/{interface}/{key}": value for key, value in _FOR_EACH.items()})
        with IPRoute() as netlink:
            try:
                netlink.addr("add", index=_LOOPBACK, address=node.host_address, prefixlen=_HOST)
                for other in others:
                    _add_route(netlink, node, other)
            except NetlinkError as error:
                raise CrunchbedError(f"cannot route for {node.name}: {error}") from error


def _add_route(netlink: IPRoute, node: ClusterNode, other: ClusterNode) -> None:
    hops = [
        {"gateway": other.address(link.network), "oif": socket.if_nametoindex(link.interface)}
        for link in node.links
    ]
    netlink.route(
        "add", dst=f"{other.host_address}/{_HOST}", prefsrc=node.host_address, multipath=hops
    )


def _write(settings: Mapping[str, int]) -> None:
    for name, value in settings.items():
        (_SETTINGS / name).write_text(str(value))
