"""``python -m nodes.traffic CONFIG.json``: packets of class ``other``, to make the pool work.

Their readers are normal tasks.
``role: source`` runs on the storage host, ``role: sink`` on each node.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

from nodes.daemon import Config, Stop, connect_events, run_daemon

_TICK_SECONDS = 0.01


def _source(config: Config, stop: Stop) -> None:
    """Send ``rate`` packets a second to each node, evenly in steps of 10 ms."""
    payload = bytes(config["size"])
    targets = [(address, config["port"]) for address in config["addresses"]]
    start = time.monotonic()
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        connect_events(config).emit("daemon.ready", name="traffic-source")
        while not stop:
            due = int((time.monotonic() - start) * config["rate"])
            for _ in range(due - sent):
                for target in targets:
                    try:
                        sender.sendto(payload, target)
                    except OSError:
                        continue  # a node that is down, a queue that is full: traffic is lost
            sent = due
            time.sleep(_TICK_SECONDS)


def _sink(config: Config, stop: Stop) -> None:
    """Read and forget."""
    selector = selectors.DefaultSelector()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((config["address"], config["port"]))
        receiver.setblocking(False)
        selector.register(receiver, selectors.EVENT_READ)
        connect_events(config).emit("daemon.ready", name="traffic")
        while not stop:
            if not selector.select(0.5):
                continue
            try:
                while True:
                    receiver.recv(65536)
            except BlockingIOError:
                continue


def _body(config: Config) -> None:
    (_source if config["role"] == "source" else _sink)(config, Stop())


if __name__ == "__main__":
    sys.exit(run_daemon("traffic", _body))
