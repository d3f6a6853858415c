"""Three heartbeat daemons in network namespaces of their own, joined by a bridge in a fourth."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from nodes.process import Process, spawn
from nodes.waiting import wait_until
from tests.unit.pumped_fences import PumpedFences

INTERVAL_NS = 100_000_000
MISSES = 3
NAMES = ("n1", "n2", "n3")


class FakeAgent:
    """Listens where a node's agent would, and keeps what its daemons say."""

    def __init__(self, path: Path, node: str, events: list[dict[str, Any]]) -> None:
        self._node = node
        self._events = events
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._sockets: list[socket.socket] = [self._listener]
        self._partial: dict[socket.socket, bytes] = {}

    def pump(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in self._sockets:
                selector.register(each, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(0)}
        for each in [each for each in self._sockets if each.fileno() in ready]:
            if each is self._listener:
                self._sockets.append(each.accept()[0])
            else:
                self._read(each)

    def _read(self, connection: socket.socket) -> None:
        data = connection.recv(1 << 20)
        if not data:
            self._sockets.remove(connection)
            connection.close()
            return
        *lines, rest = (self._partial.get(connection, b"") + data).split(b"\n")
        self._partial[connection] = rest
        self._events.extend({"node": self._node, **orjson.loads(line)} for line in lines)

    def close(self) -> None:
        for each in self._sockets:
            each.close()


@dataclass
class Namespace:
    """A network namespace, kept by a process that does nothing else."""

    keeper: subprocess.Popen[bytes]

    @classmethod
    def make(cls) -> Namespace:
        keeper = subprocess.Popen(["unshare", "--net", "sleep", "120"])
        own = Path("/proc/self/ns/net").readlink()
        there = Path(f"/proc/{keeper.pid}/ns/net")
        wait_until(lambda: there.readlink() != own, 5, "a network namespace")
        return cls(keeper)

    def run(self, *argv: str) -> None:
        subprocess.run(["nsenter", f"--net=/proc/{self.keeper.pid}/ns/net", *argv], check=True)

    def ip(self, *arguments: str) -> None:
        self.run("ip", *arguments)

    def close(self) -> None:
        self.keeper.kill()
        self.keeper.wait()


class Cluster:
    """The daemons, their agents and the fence service, all served from within ``wait``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.events: list[dict[str, Any]] = []
        self.fenced: list[tuple[str, str]] = []
        self.daemons: dict[str, Process] = {}
        self._bridge = Namespace.make()
        self._bridge.ip("link", "add", "br0", "up", "type", "bridge")
        self.namespaces = {name: self._attach(i) for i, name in enumerate(NAMES, start=1)}
        self._agents = [FakeAgent(directory / f"{n}.agent", n, self.events) for n in NAMES]
        self.fence = PumpedFences(directory / "fence", self._cut_off)

    def start(self, name: str, **settings: object) -> Process:
        index = NAMES.index(name)
        config = {
            "node": name,
            "index": index,
            "addresses": [address(name)],
            "peers": {
                n: {"index": NAMES.index(n), "addresses": [address(n)]} for n in NAMES if n != name
            },
            "interval_ns": INTERVAL_NS,
            "misses": MISSES,
            "phase_ns": index * INTERVAL_NS // len(NAMES),
            "events": str(self._directory / f"{name}.agent"),
            "fence": str(self._directory / "fence"),
            **settings,
        }
        path = self._directory / f"{name}.json"
        path.write_bytes(orjson.dumps(config))
        self.daemons[name] = spawn(
            [sys.executable, "-m", "nodes", "heartbeat", str(path)],
            name=f"{name} heartbeat",
            log=self._directory / f"{name}.log",
            netns_pid=self.namespaces[name].keeper.pid,
            cgroup=None,
            realtime=True,
        )
        return self.daemons[name]

    def of_kind(self, kind: str, node: str | None = None) -> list[dict[str, Any]]:
        return [e for e in self.events if e["kind"] == kind and node in (None, e["node"])]

    def views(self, *nodes: str) -> list[tuple[int, list[str]]]:
        """The last view that each of ``nodes`` reported."""
        last = {e["node"]: (e["number"], e["members"]) for e in self.of_kind("membership.view")}
        return [last.get(node, (0, [])) for node in nodes]

    def wait(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        wait_until(condition, timeout, what, pump=self.pump)

    def pump(self) -> None:
        self.fence.pump(0)
        for agent in self._agents:
            agent.pump()

    def close(self) -> None:
        for daemon in self.daemons.values():
            daemon.kill()
        for namespace in (*self.namespaces.values(), self._bridge):
            namespace.close()
        for agent in self._agents:
            agent.close()
        self.fence.close()

    def _attach(self, index: int) -> Namespace:
        namespace = Namespace.make()
        keeper = str(namespace.keeper.pid)
        port = f"port{index}"
        self._bridge.ip(
            *("link", "add", port, "up", "master", "br0", "type", "veth"),
            *("peer", "name", "eth0", "netns", keeper),
        )
        namespace.ip("address", "add", f"10.77.0.{index}/24", "dev", "eth0")
        namespace.ip("link", "set", "eth0", "up")
        return namespace

    def _cut_off(self, target: str, by: str) -> bool:
        self.fenced.append((target, by))
        self.daemons[target].kill()
        return True


def address(name: str) -> str:
    return f"10.77.0.{NAMES.index(name) + 1}"


def stop(process: Process) -> None:
    os.kill(process.pid, signal.SIGSTOP)


def resume(process: Process) -> None:
    os.kill(process.pid, signal.SIGCONT)
