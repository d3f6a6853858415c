"""Pings from all nodes at once, to check that a run's network works."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import time

from reserve_agent.netns import network_namespace_of

_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_RETRY_SECONDS = 0.2


def echo_request(identifier: int, sequence: int) -> bytes:
    """An ICMP echo request (RFC 792) without data."""
    header = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, identifier, sequence)
    total = sum(struct.unpack("!4H", header))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return struct.pack("!BBHHH", _ECHO_REQUEST, 0, checksum, identifier, sequence)


def is_reply(packet: bytes, identifier: int) -> bool:
    """Whether an IPv4 packet is an answer to an echo request with this identifier."""
    header = (packet[0] & 0x0F) * 4
    icmp = packet[header : header + 8]
    if len(icmp) < 8:
        return False
    kind, _code, _checksum, found, _sequence = struct.unpack("!BBHHH", icmp)
    return bool(kind == _ECHO_REPLY and found == identifier)


def _open_socket(target: str) -> socket.socket:
    ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    ping.setblocking(False)
    # A node without a route has lost its interface; that counts as unreachable, not as an error.
    with contextlib.suppress(OSError):
        ping.connect((target, 0))
    return ping


def unreachable_from(pids: dict[str, int], target: str, timeout: float) -> list[str]:
    """Ping ``target`` from every node for ``timeout`` seconds; return those without an answer.

    ``pids`` has a process in the network namespace of each node by name.
    """
    identifier = os.getpid() & 0xFFFF
    deadline = time.monotonic() + timeout
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        waiting: dict[str, socket.socket] = {}
        for name, pid in pids.items():
            with network_namespace_of(pid):
                ping = stack.enter_context(_open_socket(target))
            selector.register(ping, selectors.EVENT_READ, name)
            waiting[name] = ping
        sequence, retry_at = 0, 0.0
        while waiting and (now := time.monotonic()) < deadline:
            if now >= retry_at:
                sequence, retry_at = sequence + 1, now + _RETRY_SECONDS
                for ping in waiting.values():
                    with contextlib.suppress(OSError):
                        ping.send(echo_request(identifier, sequence & 0xFFFF))
            for key, _events in selector.select(min(retry_at, deadline) - now):
                if _answered(waiting.get(key.data), identifier):
                    selector.unregister(waiting.pop(key.data))
        return list(waiting)


def _answered(ping: socket.socket | None, identifier: int) -> bool:
    """Read one packet, and say whether it is an answer; an error ("host unreachable") is none."""
    if ping is None:
        return False
    try:
        return is_reply(ping.recv(2048), identifier)
    except OSError:
        return False
