"""An agent as a process of its own at one end of a cable, to be killed and followed by another."""

from __future__ import annotations

import http.client
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson

from nodes.waiting import wait_until
from reserve_agent.config import AgentConfig
from reserve_agent.config_files import write_config
from reserve_agent.contract.packets import PacketClass, Policy, PortRule
from reserve_agent.errors import CrunchbedError
from reserve_agent.hooks.loader import HookSettings
from reserve_agent.lines.client import LineClient
from reserve_agent.lines.framing import Message
from tests.system.wire import cable

PORT = 7000
UDP = 17
PARTS = ("free", "clean", "dirty", "squeezed", "rx_running", "rx_stalled", "hoarded", "tx")
"""States of a page; there is no other."""


class Instrument:
    """The agent of the node at the near end; ``node`` and ``peer`` are pids in the namespaces."""

    def __init__(self, scratch: Path, node: int, peer: int, cgroup: Path) -> None:
        self.node, self.peer, self.cgroup = node, peer, cgroup
        self.pins = Path("/sys/fs/bpf") / cgroup.name / "n1"
        self.history = scratch / "n1.jsonl"
        self.socket = scratch / "agent"
        self._file = scratch / "agent.json"
        self._log = scratch / "agent.log"
        write_config(self._file, self._config())
        self.start()

    def _config(self) -> AgentConfig:
        return AgentConfig(
            node="n1",
            run="test",
            scenario="test",
            netns_pid=self.node,
            interfaces=("eth0",),
            cgroup=self.cgroup,
            pins=self.pins,
            socket=self.socket,
            history=self.history,
            pages=4096,
            clean=1024,
            reserve=256,
            settings=HookSettings(
                Policy.MEMALLOC, rules=(PortRule(PORT, UDP, PacketClass.HEARTBEAT),)
            ),
        )

    def start(self) -> None:
        """Start an agent and wait until it answers."""
        argv = [sys.executable, "-m", "reserve_agent", str(self._file)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        wait_until(self._answers, 30, "the agent answers")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        try:
            self._client = LineClient(self.socket)
        except CrunchbedError:
            return False
        return True

    def ask(self, op: str, **fields: Any) -> Message:
        return self._client.ask(op=op, **fields)

    def pool(self) -> dict[str, int]:
        found: dict[str, int] = self.ask("status")["pool"]
        assert found["total"] == sum(found[part] for part in PARTS), "pages are conserved"
        return found

    def end(self, number: signal.Signals) -> None:
        self._client.close()
        self.process.send_signal(number)
        self.process.wait(10)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Of the history so far."""
        events = [orjson.loads(line) for line in self.history.read_bytes().splitlines()]
        return [event for event in events if event["kind"] == kind]

    def metrics(self) -> dict[str, float]:
        """Values by series, from the port that the agent says."""
        port = self.ask("status")["metrics_port"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in rows}

    def close(self) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        shutil.rmtree(self.pins.parent, ignore_errors=True)


@contextmanager
def instrument(scratch: Path) -> Iterator[Instrument]:
    """A cable and the agent of its near end."""
    with cable() as (node, peer, cgroup), ExitStack() as stack:
        made = Instrument(scratch, node, peer, cgroup)
        stack.callback(made.close)
        yield made
