"""Facts for an audit that the hooks have collected: protocols, and sockets with their flags.

``audit.bpf.h`` collects the facts; this module reads and names them. What they mean is judged by
``crunchbed.live.audit``.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reserve_agent.contract.packets import (
    SOCK_MEMALLOC,
    SOCK_WRITEBACK,
    Hook,
    PacketClass,
    PortRule,
)
from reserve_agent.hooks import libbpf
from reserve_agent.hooks.layout import Protocols, SocketRecord
from reserve_agent.hooks.loader import NodeHooks

IPV4: Final = 0x0800
ARP: Final = 0x0806
IPV6: Final = 0x86DD
VM_AWARE: Final = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}
"""IP protocols whose receive path knows the rules (design, section 1); ARP is the fifth."""

_ICMPV6: Final = 58
_IP_NAMES: Final = {
    **VM_AWARE,
    2: "IGMP",
    4: "IP in IP",
    33: "DCCP",
    41: "IPv6 in IP",
    43: "IPv6 routing header",
    47: "GRE",
    50: "ESP",
    51: "AH",
    59: "IPv6 no next header",
    60: "IPv6 destination options",
    89: "OSPF",
    103: "PIM",
    112: "VRRP",
    115: "L2TP",
    136: "UDP-Lite",
}
_ETHER_NAMES: Final = {
    ARP: "ARP",
    0x0004: "802.2 LLC",
    0x0842: "Wake-on-LAN",
    0x8100: "VLAN tag, the third",
    0x8809: "LACP",
    0x8863: "PPPoE discovery",
    0x8864: "PPPoE",
    0x8847: "MPLS",
    0x888E: "802.1X",
    0x88A2: "ATA over Ethernet",
    0x88CC: "LLDP",
    0x88F7: "PTP",
    0x8906: "FCoE",
    0x8915: "RoCE",
}


@dataclass(frozen=True)
class ProtocolSeen:
    """Packets of one protocol that the receive hook has seen.

    Attributes:
        name: For people: ``TCP``, ``IPv6 OSPF (protocol 89)``, ``EtherType 0x88b5``.
        ether_type: Behind VLAN tags; None for EtherTypes that found no slot of their own.
        protocol: IP protocol number; None where there is no IP.
        vm_aware: Whether the protocol's receive path knows the rules.
        packets: Packets on the wire, passed or dropped.
    """

    name: str
    ether_type: int | None
    protocol: int | None
    vm_aware: bool
    packets: int


@dataclass(frozen=True)
class SocketSeen:
    """A socket that somebody has marked or that has sent something.

    Attributes:
        protocol: Transport, ``tcp``, ``udp``, ``sctp`` or a number.
        cls: Class of its packets, by the rules for its ports.
        local: Address here.
        local_port: Port here.
        remote: Address that it is connected to.
        remote_port: The port there; 0 where it is not connected.
        memalloc: May draw on the reserve.
        writeback: The writeback task writes to it.
        inode: Its number in /proc/PID/fd; 0 where no process has the socket any more.
        write_queue_bytes: Sent and not acknowledged (TCP only).
        pool_pages: Pages held of its own mempool.
        reserve_pages: Pages that it was ever handed from the reserve.
    """

    protocol: str
    cls: str
    local: str
    local_port: int
    remote: str
    remote_port: int
    memalloc: bool
    writeback: bool
    inode: int
    write_queue_bytes: int
    pool_pages: int
    reserve_pages: int


def ip_protocol(ether_type: int, protocol: int, packets: int) -> ProtocolSeen:
    """Name what an IP header says."""
    family = "IPv6 " if ether_type == IPV6 else ""
    if protocol in VM_AWARE:
        name = VM_AWARE[protocol] if protocol == _ICMPV6 else family + VM_AWARE[protocol]
        return ProtocolSeen(name, ether_type, protocol, True, packets)
    if protocol == 0:
        name = f"{family or 'IPv4 '}without a readable protocol"
    else:
        known = _IP_NAMES.get(protocol, "IP").removeprefix(family)
        name = f"{family}{known} (protocol {protocol})"
    return ProtocolSeen(name, ether_type, protocol, False, packets)


def ether_protocol(ether_type: int, packets: int) -> ProtocolSeen:
    """Name an EtherType that is not IP."""
    if ether_type == ARP:
        return ProtocolSeen("ARP", ARP, None, True, packets)
    known = _ETHER_NAMES.get(ether_type)
    name = f"EtherType 0x{ether_type:04x}" + (f" ({known})" if known else "")
    return ProtocolSeen(name, ether_type, None, False, packets)


def merge(processors: Iterable[Protocols]) -> list[ProtocolSeen]:
    """One list from every processor's table, the most frequent first."""
    ip: Counter[tuple[int, int]] = Counter()
    ether: Counter[int] = Counter()
    unnamed = 0
    for table in processors:
        for kind, counts in ((IPV4, table.ipv4), (IPV6, table.ipv6)):
            ip.update({(kind, number): count for number, count in enumerate(counts) if count})
        for slot in table.others:
            if slot.packets:
                ether[int(slot.type)] += int(slot.packets)
        unnamed += int(table.unnamed)
    seen = [ip_protocol(kind, number, count) for (kind, number), count in ip.items()]
    seen += [ether_protocol(kind, count) for kind, count in ether.items()]
    if unnamed:
        seen.append(ProtocolSeen("more EtherTypes than are told apart", None, None, False, unnamed))
    return sorted(seen, key=lambda one: -one.packets)


def _address(family: int, raw: bytes) -> str:
    if family == socket.AF_INET6:
        address = ipaddress.IPv6Address(raw)
        return str(address.ipv4_mapped or address)
    return str(ipaddress.IPv4Address(raw[:4]))


_TRANSPORTS: Final = {6: "tcp", 17: "udp", 132: "sctp"}


def _class(record: SocketRecord, rules: Sequence[PortRule]) -> str:
    ports = (record.local_port, record.remote_port)
    matches = (one.cls for one in rules if one.protocol == record.protocol and one.port in ports)
    return next(matches, PacketClass.OTHER).label


def decode_sockets(data: bytes, rules: Sequence[PortRule]) -> list[SocketSeen]:
    """What the iterator has written; closed sockets are left out."""
    records = (SocketRecord * (len(data) // ctypes.sizeof(SocketRecord))).from_buffer_copy(data)
    return [
        SocketSeen(
            protocol=_TRANSPORTS.get(one.protocol, str(one.protocol)),
            cls=_class(one, rules),
            local=_address(one.family, bytes(one.local)),
            local_port=one.local_port,
            remote=_address(one.family, bytes(one.remote)),
            remote_port=one.remote_port,
            memalloc=bool(one.flags & SOCK_MEMALLOC),
            writeback=bool(one.flags & SOCK_WRITEBACK),
            inode=one.inode,
            write_queue_bytes=one.write_queue_bytes,
            pool_pages=one.pool_pages,
            reserve_pages=one.reserve_pages,
        )
        for one in records
        if not one.closed and one.family in (socket.AF_INET, socket.AF_INET6)
    ]


def protocols(hooks: NodeHooks) -> list[ProtocolSeen]:
    """Every protocol received since the hooks were loaded."""
    tables = (Protocols * libbpf.possible_cpus())()
    libbpf.read_map(hooks.map_fd("cb_protocols"), 0, tables)
    return merge(tables)


def sockets(hooks: NodeHooks, rules: Sequence[PortRule]) -> list[SocketSeen]:
    """Every socket of the node that has been marked or has sent something."""
    lister, listed = hooks.program_fd("cb_list_sockets"), hooks.map_fd("cb_sockets")
    return decode_sockets(libbpf.iterate(lister, listed), rules)


def block_io_packets(hooks: NodeHooks) -> int:
    """Packets of block I/O received; with none, the interfaces carry no block I/O."""
    return sum(
        packets
        for (hook, cls, _), (packets, _) in hooks.counters().items()
        if hook is Hook.RECEIVE and cls is PacketClass.BLOCK_IO
    )
