"""``python -m nodes.traffic CONFIG.json``: packets of class ``other``, to make the pool work.

``role: source`` runs on the storage host, ``role: sink`` on each node. The sink's readers are
normal tasks; with ``stalled`` it has one more socket, whose reader does not read.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

from nodes.daemon import Config, Stop, connect_events, run_daemon
from reserve_agent.memalloc import set_memalloc, set_stalled

_TICK_SECONDS = 0.01
_STOP_SECONDS = 0.1  # within which SIGTERM is noticed
_CATCH_UP_SHARE = 10  # of a second


def _source(config: Config, stop: Stop) -> None:
    """Send ``rate`` packets a second to each node, evenly in steps of 10 ms.

    From ``start_ns`` to ``end_ns`` where they are given, else from now until told to stop.
    """
    payload = bytes(config["size"])
    targets = [(address, config["port"]) for address in config["addresses"]]
    start = config.get("start_ns", time.monotonic_ns())
    end = config.get("end_ns")
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        connect_events(config).emit("daemon.ready", name="traffic-source")
        while not stop:
            now = time.monotonic_ns() if end is None else min(time.monotonic_ns(), end)
            due = (now - start) * config["rate"] // 1_000_000_000
            if end is None:
                # What a pause has held back is not made up for: that would be a flood.
                sent = max(sent, due - config["rate"] // _CATCH_UP_SHARE)
            for _ in range(due - sent):
                for target in targets:
                    try:
                        sender.sendto(payload, target)
                    except OSError:
                        continue  # a node that is down, a queue that is full: traffic is lost
            sent = max(sent, due)
            time.sleep(_TICK_SECONDS)


def _open(address: str, port: int) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((address, port))
    receiver.setblocking(False)
    return receiver


def _open_stalled(config: Config) -> socket.socket:
    """The model keeps what this socket is handed; the kernel's own queue need not overflow."""
    receiver = _open(config["address"], config["stalled"]["port"])
    set_stalled(receiver)
    if config["stalled"]["memalloc"]:
        set_memalloc(receiver)
    return receiver


def _drain(receiver: socket.socket) -> None:
    try:
        while True:
            receiver.recv(65536)
    except BlockingIOError:
        return


def _sink(config: Config, stop: Stop) -> None:
    """Read and forget."""
    selector = selectors.DefaultSelector()
    receivers = [_open(config["address"], config["port"])]
    if config.get("stalled"):
        receivers.append(_open_stalled(config))
    for receiver in receivers:
        selector.register(receiver, selectors.EVENT_READ)
    connect_events(config).emit("daemon.ready", name="traffic")
    while not stop:
        for key, _ in selector.select(_STOP_SECONDS):
            if isinstance(key.fileobj, socket.socket):
                _drain(key.fileobj)
    for receiver in receivers:
        receiver.close()


def _body(config: Config) -> None:
    (_source if config["role"] == "source" else _sink)(config, Stop())


if __name__ == "__main__":
    sys.exit(run_daemon("traffic", _body))
