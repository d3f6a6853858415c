"""The address that moves with the service: added, announced, removed, in the caller's namespace."""

from __future__ import annotations

import errno
import socket
import struct

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from reserve_agent.errors import CrunchbedError

_ETH_P_ARP = 0x0806
_BROADCAST = b"\xff" * 6
_ETHERNET, _IPV4, _REQUEST = 1, 0x0800, 1
_PREFIX = 32  # so the node's own address stays the source of its packets, and keeps the route


def announcement(hardware: bytes, address: str) -> bytes:
    """Return an ARP announcement (RFC 5227, 2.3): a broadcast request for the sender's own address.

    ``hardware`` is the sender's hardware address, six bytes; ``address`` is IPv4.
    """
    own = socket.inet_aton(address)
    ethernet = _BROADCAST + hardware + struct.pack("!H", _ETH_P_ARP)
    header = struct.pack("!HHBBH", _ETHERNET, _IPV4, len(hardware), len(own), _REQUEST)
    return ethernet + header + hardware + own + bytes(6) + own


def announce(interface: str, address: str) -> None:
    """Send one announcement; hosts and switches learn where ``address`` is now.

    Raises OSError where the interface is gone or down.
    """
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, _ETH_P_ARP))
        # /sys would not do: it is mounted once and shows another network namespace.
        raw.send(announcement(raw.getsockname()[4], address))


def add_address(interface: str, address: str) -> None:
    """Give ``interface`` the address; an address that it has already is no error.

    Raises CrunchbedError where there is no such interface, or the kernel refuses.
    """
    _change("add", interface, address, errno.EEXIST)


def remove_address(interface: str, address: str) -> None:
    """Take the address away; errors as ``add_address``, but not where it is not there."""
    _change("del", interface, address, errno.EADDRNOTAVAIL)


def _change(command: str, interface: str, address: str, harmless: int) -> None:
    with IPRoute() as netlink:
        try:
            index = socket.if_nametoindex(interface)
            netlink.addr(command, index=index, address=address, prefixlen=_PREFIX)
        except (NetlinkError, OSError) as error:
            if getattr(error, "code", None) == harmless:
                return
            text = f"cannot {command} address {address} on {interface}: {error}"
            raise CrunchbedError(text) from error
