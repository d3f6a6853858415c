"""One address for a host with two links, which either link leads to.

Sites whose servers route to their own addresses do the same: the address is on the loopback
interface, and every other host has a route of equal cost over each link. A route goes out of use at
once when its own link loses the carrier. It also goes out of use when the other host stops
answering ARP on it, which the kernel asks for every second or two.
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
    # A route over a link without a carrier is not used. A route whose neighbour does not answer
    # is left for the other route. TCP and UDP connections are spread over both routes.
    "conf/all/ignore_routes_with_linkdown": 1,
    "fib_multipath_use_neigh": 1,
    "fib_multipath_hash_policy": 1,
    # An answer may leave by another link than the one that the request came in by.
    "conf/all/rp_filter": 2,
    # A link answers ARP requests for its own address only, and asks with its own address only;
    # otherwise neighbours would learn the hardware address of the wrong link.
    "conf/all/arp_ignore": 1,
    "conf/all/arp_announce": 2,
}
# A neighbour that was silent for 1 s is asked again, three times within 0.6 s.
_FOR_EACH = {
    "base_reachable_time_ms": 1000,
    "delay_first_probe_time": 0,
    "retrans_time_ms": 200,
    "ucast_solicit": 3,
}


def join_paths(node: ClusterNode, others: Iterable[ClusterNode]) -> None:
    """Give a node its host address, and routes to the host addresses of all others.

    The node's links are up. Raises CrunchbedError where the kernel refuses.
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
