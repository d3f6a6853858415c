"""Taps in place of a host's own network stack, for a virtual machine that is the host."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from reserve_agent.errors import CrunchbedError
from reserve_agent.netns import network_namespace_of
from topologies.classic_bpf import EVERY_PACKET, Instruction, bytecode, tcp_to
from topologies.links import silence_ipv6
from topologies.lossy import Loss, program
from topologies.node import ClusterNode, NodeLink
from topologies.offloads import switch_offloads_off
from topologies.wiring import run_tc

_LOSE, _PASS = 1, 2
"""Preference of the filters: what is lost comes no further."""
_PERMANENT: Final = 0x80  # NUD_PERMANENT


def tap_name(link: NodeLink) -> str:
    """Return the name of the tap of a link; it has the run's id in it as the link's name has."""
    return link.interface.replace("-eth", "-tap")


def lost_tap_name(link: NodeLink) -> str:
    """Return the name of the tap that the packets go to that a fault loses."""
    return link.interface.replace("-eth", "-lost")


def plug_tap(node: ClusterNode, link: NodeLink) -> str:
    """Make a tap in a host's namespace, and join it to the host's end of a link; returns its name.

    What comes by the link leaves by the tap, and the other way round, before the namespace's own
    network stack sees it. The link's address goes, and whoever opens the tap takes its place, with
    the link's hardware address too. The link stays shaped. The tap ends with the namespace, and so
    does another one, for packets that are lost.

    Raises:
        CrunchbedError: The kernel refused.
    """
    tap, lost = tap_name(link), lost_tap_name(link)
    with network_namespace_of(node.pid):
        with _told_of(tap), IPRoute() as netlink:
            _make(netlink, tap, lost)
            netlink.flush_addr(index=socket.if_nametoindex(link.interface))
        _join(link.interface, tap, EVERY_PACKET)
    return tap


def plug_server_tap(node: ClusterNode, link: NodeLink, port: int) -> str:
    """Make a tap for a virtual machine that serves a TCP port in a host's place; returns its name.

    What comes by the link for that port leaves by the tap, and all that comes from the tap leaves
    by the link. Host and machine have the same addresses, and everything else is still the host's.

    Raises:
        CrunchbedError: The kernel refused.
    """
    tap = tap_name(link)
    with network_namespace_of(node.pid):
        with _told_of(tap), IPRoute() as netlink:
            _make(netlink, tap)
        _join(link.interface, tap, tcp_to(port))
    return tap


@contextmanager
def _told_of(tap: str) -> Iterator[None]:
    try:
        yield
    except (NetlinkError, OSError) as error:
        raise CrunchbedError(f"cannot make tap {tap}: {error}") from error


def _make(netlink: IPRoute, *taps: str) -> None:
    for name in taps:
        netlink.link("add", ifname=name, kind="tuntap", mode="tap")
        silence_ipv6(name)
        netlink.link("set", ifname=name, state="up")


def _join(interface: str, tap: str, which: Iterable[Instruction]) -> None:
    """Have packets of a link leave by the tap, and every packet of the tap leave by the link."""
    silence_ipv6(interface)
    switch_offloads_off(tap)
    run_tc(
        [
            *(f"qdisc replace dev {name} clsact" for name in (interface, tap)),
            _redirect(interface, _PASS, which, tap),
            _redirect(tap, _PASS, EVERY_PACKET, interface),
        ]
    )


def _redirect(source: str, preference: int, which: Iterable[Instruction], target: str) -> str:
    """Return a line for tc that sends what comes into ``source`` out of ``target``."""
    return (
        f"filter replace dev {source} ingress protocol all pref {preference} handle 1"
        f" bpf bytecode '{bytecode(which)}' action mirred egress redirect dev {target}"
    )


def lose(node: ClusterNode, link: NodeLink, losses: Iterable[Loss]) -> None:
    """Lose packets that come to a host with taps as if on the wire; replaces earlier losses.

    Raises:
        CrunchbedError: The kernel refused.
    """
    with network_namespace_of(node.pid):
        run_tc([_redirect(link.interface, _LOSE, program(losses), lost_tap_name(link))])


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
