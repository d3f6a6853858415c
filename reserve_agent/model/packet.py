"""What a packet is: the frame's bytes in, its class and size in pages out."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from reserve_agent.contract.packets import PAGE_BYTES, PacketClass, PortRule

_ETHERNET = 14
_IP, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_VLAN = (0x8100, 0x88A8)
_MAX_VLAN_TAGS = 2
_HOP_BY_HOP, _ICMP, _TCP, _UDP, _FRAGMENT, _ICMPV6, _SCTP = 0, 1, 6, 17, 44, 58, 132
_SKB_HEADROOM, _SKB_OVERHEAD, _CACHE_LINE = 64, 576, 64


def buffer_pages(frame_bytes: int) -> int:
    """Pages of the buffer for a frame: the kernel's truesize on x86-64, in whole pages.

    Truesize is head room and frame in cache lines, plus struct sk_buff (256 as allocated) and
    struct skb_shared_info (320): SKB_TRUESIZE in include/linux/skbuff.h.
    """
    lines = -(-(_SKB_HEADROOM + frame_bytes) // _CACHE_LINE)
    return -(-(lines * _CACHE_LINE + _SKB_OVERHEAD) // PAGE_BYTES)


@dataclass(frozen=True)
class Segment:
    """The data of a TCP segment.

    Attributes:
        sequence: Sequence number of its first byte.
        bytes: Its payload; 0 = none.
        queued: Bytes that the sender has written beyond it, which wait for their segments.
    """

    sequence: int = 0
    bytes: int = 0
    queued: int = 0

    @property
    def end(self) -> int:
        """Sequence number behind its last byte."""
        return (self.sequence + self.bytes) % (1 << 32)

    @property
    def written(self) -> int:
        """Sequence number up to which the sender has written."""
        return (self.end + self.queued) % (1 << 32)


@dataclass
class Packet:
    """What the rules need of a packet, read from a frame (``read``) or said by a simulation.

    Attributes:
        cls: Its class.
        vm_aware: Whether its protocol's receive path knows these rules.
        fragment: Whether it is part of a fragmented datagram.
        protocol: IP protocol number; 0 where there is none.
        transport: Offset of the transport header in the frame; 0 where it cannot be read.
        type: EtherType, behind the VLAN tags; 0 where it cannot be read.
        bytes: Length of a frame.
        frames: Frames on the wire that it stands for: a buffer that is yet to be cut is several.
        segment: Its TCP data.
        acknowledged: Sequence number before which its sender has everything; None: it says none.
    """

    cls: PacketClass = PacketClass.OTHER
    vm_aware: bool = False
    fragment: bool = False
    protocol: int = 0
    transport: int = 0
    type: int = 0
    bytes: int = 0
    frames: int = 1
    segment: Segment = field(default_factory=Segment)
    acknowledged: int | None = None

    @property
    def protocol_is_vm_aware(self) -> bool:
        """Whether the protocol is, whatever the packet: a later fragment's protocol is known."""
        return self.vm_aware or (self.fragment and self.protocol in (_TCP, _UDP, _SCTP))


def read(frame: bytes, rules: Sequence[PortRule], queued: int = 0) -> Packet:
    """Read all that the rules need of a frame; ``queued``: see ``Segment``."""
    packet = parse(frame, rules)
    packet.bytes = len(frame)
    packet.segment = read_segment(frame, packet, queued)
    packet.acknowledged = read_acknowledgement(frame, packet)
    return packet


def parse(frame: bytes, rules: Sequence[PortRule]) -> Packet:
    """Classify a frame from its Ethernet header, through up to two VLAN tags."""
    packet = Packet()
    offset = _ETHERNET
    kind = _word(frame, offset - 2)
    for _ in range(_MAX_VLAN_TAGS):
        if kind not in _VLAN:
            break
        kind = _word(frame, offset + 2)
        offset += 4
    packet.type = kind or 0
    if kind == _ARP:
        packet.cls = PacketClass.CONTROL
        packet.vm_aware = True
    elif kind == _IP:
        _parse_ipv4(frame, offset, rules, packet)
    elif kind == _IPV6:
        _parse_ipv6(frame, offset, rules, packet)
    return packet


def _word(frame: bytes, offset: int) -> int | None:
    """Two bytes, or None past the end."""
    if offset + 2 > len(frame):
        return None
    value: int = struct.unpack_from("!H", frame, offset)[0]
    return value


def _parse_ipv4(frame: bytes, offset: int, rules: Sequence[PortRule], packet: Packet) -> None:
    if offset + 20 > len(frame):
        return
    fragment = _word(frame, offset + 6) or 0
    packet.fragment = bool(fragment & 0x3FFF)
    packet.protocol = frame[offset + 9]
    packet.transport = offset + (frame[offset] & 0x0F) * 4
    _parse_transport(frame, rules, packet, later=bool(fragment & 0x1FFF))


def _parse_ipv6(frame: bytes, offset: int, rules: Sequence[PortRule], packet: Packet) -> None:
    if offset + 40 > len(frame):
        return
    packet.protocol = frame[offset + 6]
    packet.transport = offset + 40
    if packet.protocol == _HOP_BY_HOP:
        # In practice multicast listener reports.
        if packet.transport + 8 > len(frame):
            return
        packet.protocol = frame[packet.transport]
        packet.transport += (frame[packet.transport + 1] + 1) * 8
    later = False
    if packet.protocol == _FRAGMENT:
        if packet.transport + 8 > len(frame):
            return
        packet.fragment = True
        later = bool((_word(frame, packet.transport + 2) or 0) & 0xFFF8)
        packet.protocol = frame[packet.transport]
        packet.transport += 8
    _parse_transport(frame, rules, packet, later=later)


def _parse_transport(
    frame: bytes, rules: Sequence[PortRule], packet: Packet, *, later: bool
) -> None:
    if packet.protocol in (_ICMP, _ICMPV6):
        packet.cls = PacketClass.CONTROL
        packet.vm_aware = True
        packet.transport = 0
        return
    # A later fragment has no port: nobody can say whose it is.
    if packet.protocol not in (_TCP, _UDP, _SCTP) or later:
        packet.transport = 0
        return
    packet.vm_aware = True
    ports = _word(frame, packet.transport), _word(frame, packet.transport + 2)
    if None in ports:
        packet.transport = 0
        return
    for rule in rules:
        if rule.protocol == packet.protocol and rule.port in ports:
            packet.cls = rule.cls
            return


def read_segment(frame: bytes, packet: Packet, queued: int = 0) -> Segment:
    """The TCP data in a frame; ``queued`` is what its socket says of its write queue."""
    if packet.protocol != _TCP or not packet.transport or packet.transport + 20 > len(frame):
        return Segment()
    sequence: int = struct.unpack_from("!I", frame, packet.transport + 4)[0]
    header = packet.transport + (frame[packet.transport + 12] >> 4) * 4
    return Segment(sequence, max(0, len(frame) - header), queued)


def read_acknowledgement(frame: bytes, packet: Packet) -> int | None:
    """The acknowledgement number of a TCP segment; None where there is none."""
    if packet.protocol != _TCP or not packet.transport or packet.transport + 20 > len(frame):
        return None
    if not frame[packet.transport + 13] & 0x10:
        return None
    number: int = struct.unpack_from("!I", frame, packet.transport + 8)[0]
    return number
