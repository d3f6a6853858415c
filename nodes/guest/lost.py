"""The packets that a fault loses on their way to a guest: they come to a tap that is read here.

They never reach the guest, and each is in the history as what the hooks of a namespace lose is.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from nodes.guest.config import AttendantConfig, LostTap
from reserve_agent.contract.events.pressure import PacketDropped
from reserve_agent.contract.packets import Hook, PacketClass, PortRule, Reason
from reserve_agent.model.packet import Packet, buffer_pages, parse
from reserve_agent.netns import network_namespace_of

_TUN: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA
_TAP_WITHOUT_INFO: Final = 0x0002 | 0x1000  # IFF_TAP | IFF_NO_PI
_FRAME_BYTES: Final = 2048
_IPV4, _ARP, _TCP, _UDP = 0x0800, 0x0806, 6, 17
_ADDRESSES: Final = {_IPV4: (26, 30), _ARP: (28, 38)}
"""Offsets of source and destination in a frame without a VLAN tag, by its type."""
_UDP_HEADER, _TAG_BYTES = 8, 8


def rules_of(config: AttendantConfig) -> tuple[PortRule, ...]:
    """Return which packets are heartbeats and which block I/O."""
    heartbeat = PortRule(config.heartbeat.port, _UDP, PacketClass.HEARTBEAT, 0)
    disk = config.disk
    return (heartbeat,) + (
        () if disk is None else (PortRule(disk.port, _TCP, PacketClass.BLOCK_IO, 0),)
    )


def lost(frame: bytes, rules: Sequence[PortRule]) -> PacketDropped | None:
    """Return the event of a lost packet; None for class ``other``, as for hooks."""
    packet = parse(frame, rules)
    if packet.cls == PacketClass.OTHER:
        return None
    source, destination = (_address(frame, at) for at in _ADDRESSES.get(packet.type, (0, 0)))
    return PacketDropped(
        hook=Hook.RECEIVE.name.lower(),
        reason=Reason.LOST.name.lower(),
        cls=packet.cls.label,
        src=source,
        dst=destination,
        tag=_tag(frame, packet),
        pages=buffer_pages(len(frame)),
    )


def _address(frame: bytes, at: int) -> str:
    return str(IPv4Address(frame[at : at + 4])) if at and len(frame) >= at + 4 else ""


def _tag(frame: bytes, packet: Packet) -> str:
    if packet.protocol != _UDP or not packet.transport:
        return ""
    begin = packet.transport + _UDP_HEADER
    return frame[begin : begin + _TAG_BYTES].hex()


class LostPackets:
    """The tap, opened; it must exist.

    Args:
        tap: Where it is.
        rules: Which packets are heartbeats and which block I/O.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, tap: LostTap, rules: Sequence[PortRule]) -> None:
        self._rules = rules
        with network_namespace_of(tap.netns_pid):
            self._descriptor = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            request = struct.pack("16sH22x", tap.name.encode(), _TAP_WITHOUT_INFO)
            fcntl.ioctl(self._descriptor, _TUNSETIFF, request)

    def fileno(self) -> int:
        """Return the descriptor, which is readable when a packet was lost."""
        return self._descriptor

    def read(self) -> Iterator[PacketDropped]:
        """Yield the events of the packets that have come."""
        with suppress(BlockingIOError):
            while True:
                event = lost(os.read(self._descriptor, _FRAME_BYTES), self._rules)
                if event is not None:
                    yield event

    def close(self) -> None:
        """Close the tap."""
        os.close(self._descriptor)
