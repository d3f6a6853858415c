"""Commands to the guest, byte by byte where the guest's C reads them in network order."""

from __future__ import annotations

import socket

from nodes.guest import commands
from nodes.guest.layout import Kind, Memalloc, Side
from nodes.guest.messages import FlagPort


def test_a_port_is_told_in_network_order() -> None:
    ask = commands.flag_port(socket.IPPROTO_TCP, Side.REMOTE, 3260, Memalloc.NOWAIT)
    body = FlagPort.from_buffer_copy(ask.body)
    assert ask.kind is Kind.FLAG_PORT
    assert (body.protocol, body.side, bytes(body.port), body.value) == (6, 2, b"\x0c\xbc", 2)
