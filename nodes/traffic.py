"""Packets of class ``other``, to make the pool work.

``role: source`` runs on the storage host, ``role: sink`` on each node. The sink's readers are
normal tasks; with ``stalled`` it has one more socket, whose reader does not read.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from nodes.daemon import Stop, connect_events
from nodes.pace import Pace
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.packets import STALLED_BYTES

_TICK_SECONDS = 0.01
_STOP_SECONDS = 0.1  # within which SIGTERM is noticed


@dataclass(frozen=True)
class StalledConfig:
    """The socket whose reader does not read: its UDP port, and whether it asks for the reserve."""

    port: int
    memalloc: bool


@dataclass(frozen=True, kw_only=True)
class TrafficConfig:
    """Settings of a source or a sink.

    Attributes:
        role: ``source`` or ``sink``.
        port: UDP port.
        events: The agent's Unix socket; None: there is no agent.
        address: Sink: its own IPv4 address.
        stalled: Sink: None where every reader reads.
        addresses: Source: IPv4 addresses of the nodes.
        rate: Source: packets a second to each of them.
        size: Source: bytes of payload.
        start_ns: Source: when it begins, nanoseconds of CLOCK_MONOTONIC; None: now.
        end_ns: Source: until when it sends; None: until it is told to stop.
    """

    role: str
    port: int
    events: Path | None = None
    address: str = ""
    stalled: StalledConfig | None = None
    addresses: tuple[str, ...] = ()
    rate: int = 0
    size: int = 0
    start_ns: int | None = None
    end_ns: int | None = None


def _send(config: TrafficConfig, stop: Stop) -> None:
    """Send to each node, evenly in steps of 10 ms."""
    payload = bytes(config.size)
    targets = [(address, config.port) for address in config.addresses]
    start_ns = time.monotonic_ns() if config.start_ns is None else config.start_ns
    pace = Pace(config.rate, start_ns, config.end_ns)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        connect_events(config.events, "traffic").emit(DaemonReady(name="traffic-source"))
        while not stop:
            for _ in range(pace.due(time.monotonic_ns())):
                for target in targets:
                    try:
                        sender.sendto(payload, target)
                    except OSError:
                        continue  # a node that is down, a queue that is full: the packet is lost
            time.sleep(_TICK_SECONDS)


def _open(address: str, port: int) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((address, port))
    receiver.setblocking(False)
    return receiver


def _open_stalled(address: str, stalled: StalledConfig) -> socket.socket:
    """The model keeps what this socket is handed; the kernel's own queue need not overflow."""
    from reserve_agent.socket_options import set_memalloc, set_stalled  # few sinks need these

    receiver = _open(address, stalled.port)
    set_stalled(receiver, STALLED_BYTES)
    if stalled.memalloc:
        set_memalloc(receiver)
    return receiver


def _drain(receiver: socket.socket) -> None:
    try:
        while True:
            receiver.recv(65536)
    except BlockingIOError:
        return


def _receive(config: TrafficConfig, stop: Stop) -> None:
    """Read and forget."""
    selector = selectors.DefaultSelector()
    receivers = [_open(config.address, config.port)]
    if config.stalled is not None:
        receivers.append(_open_stalled(config.address, config.stalled))
    for receiver in receivers:
        selector.register(receiver, selectors.EVENT_READ)
    connect_events(config.events, "traffic").emit(DaemonReady(name="traffic"))
    while not stop:
        for key, _ in selector.select(_STOP_SECONDS):
            if isinstance(key.fileobj, socket.socket):
                _drain(key.fileobj)
    for receiver in receivers:
        receiver.close()


def body(config: TrafficConfig, stop: Stop) -> None:
    """Send or receive until SIGTERM."""
    (_send if config.role == "source" else _receive)(config, stop)
