"""Which class a port means."""

from __future__ import annotations

from dataclasses import dataclass

from reserve_agent.hooks.layout import PacketClass


@dataclass(frozen=True)
class PortRule:
    """Which class a port means, and what a socket becomes that connects or sends to it.

    Attributes:
        port: TCP, UDP or SCTP port at either end of a packet.
        protocol: IP protocol number.
        cls: Class of the packets.
        flags: ``SOCK_*`` of ``layout`` for a socket that connects or sends to the port.
    """

    port: int
    protocol: int
    cls: PacketClass
    flags: int = 0
