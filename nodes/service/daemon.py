"""The service daemon of one node of the pair: a target, an address and a fence around the manager.

It follows its own node's membership, whose daemon tells it every view over a Unix socket. A target
that ends by itself while this node serves is started again here, as cluster managers do before they
move anything. A node that fails is the membership's affair.
"""

from __future__ import annotations

import contextlib
import selectors
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nodes.block.target import StartedTarget, TargetSettings, require_program
from nodes.daemon import Stop, connect_events
from nodes.fencing import FenceClient
from nodes.process import Process, spawn
from nodes.service import address, manager
from nodes.service.manager import ServiceManager
from nodes.service.serving import Serving
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import ServiceConfirming
from reserve_agent.lines.framing import Message
from reserve_agent.lines.server import LineServer

_TICK_SECONDS = 0.01


@dataclass(frozen=True, kw_only=True)
class ServiceConfig:
    """Settings of one node of the pair.

    Attributes:
        pair: Both nodes; the first serves first.
        joining: Whether this node boots again, into a cluster that goes on.
        confirm: Whether a fence is confirmed before this node serves.
        stops_without_quorum: Whether this node serves no longer once it has no quorum.
        retry_ns: When an unanswered question to the fence service is asked again, nanoseconds.
        interface: The interface that gets the address that moves.
        target: What is served where; its output goes to ``log``.
        fence: The fence service's Unix socket; ``events`` is the agent's.
        listen: Unix socket to make, for views and for questions of the run.
    """

    node: str
    pair: tuple[str, str]
    joining: bool
    confirm: bool
    stops_without_quorum: bool
    retry_ns: int
    interface: str
    target: TargetSettings
    log: Path
    fence: Path
    listen: Path
    events: Path


class _Host:
    """This node, see ``serving.Host``."""

    def __init__(self, config: ServiceConfig) -> None:
        self._config = config
        self.target: StartedTarget | None = None

    def _launch(self, command: list[str]) -> Process:
        name, log = f"{self._config.node} target", self._config.log
        return spawn(command, name=name, log=log, netns_pid=None, cgroup=None)

    def start_target(self) -> StartedTarget:
        self.target = StartedTarget(self._config.target, self._launch)
        return self.target

    def add_address(self) -> None:
        require_program(self._config.target)
        address.add_address(self._config.interface, self._config.target.address)

    def remove_address(self) -> None:
        self.target = None
        address.remove_address(self._config.interface, self._config.target.address)

    def announce(self) -> None:
        # A link that is down carries no announcement; once it is up, hosts ask by themselves.
        with contextlib.suppress(OSError):
            address.announce(self._config.interface, self._config.target.address)


class ServiceDaemon:
    """One node's daemon; ``run`` returns when it is told to stop."""

    def __init__(self, config: ServiceConfig) -> None:
        self._events = connect_events(config.events, "service")
        self._host = _Host(config)
        self._serving = Serving(
            config.node,
            config.target.transport,
            config.target.address,
            self._host,
            self._events.emit,
        )
        self._fence = FenceClient(config.fence, config.node)
        self._manager = ServiceManager(
            config.node,
            config.pair,
            joining=config.joining,
            confirm=config.confirm,
            stops_without_quorum=config.stops_without_quorum,
            retry_ns=config.retry_ns,
        )
        self._selector = selectors.DefaultSelector()
        self._server = LineServer(config.listen, self._selector, self._hear)

    def run(self, stop: Stop) -> None:
        """Follow the membership; at the end nothing is served."""
        self._events.emit(DaemonReady(name="service"))
        try:
            while not stop:
                for key, _ in self._selector.select(_TICK_SECONDS):
                    key.data()
                self._turn(time.monotonic_ns())
        finally:
            self._serving.stop("shutdown", time.monotonic_ns())
            self._server.close()

    def _turn(self, now_ns: int) -> None:
        for answer in self._fence.answers():
            orders = self._manager.fenced(answer.target, answer.view, answer.ok)
            self._carry_out(orders, now_ns)
        self._carry_out(self._manager.tick(now_ns), now_ns)
        self._serving.watch(now_ns)

    def _hear(self, message: Message) -> Message | None:
        """Take in a view of the membership daemon, or answer a question of the run."""
        if message.get("op") == "status":
            target = self._host.target
            pid = None if target is None else target.process.pid
            return {"serving": self._serving.accepts, "target_pid": pid}
        if message.get("kind") == ViewInstalled.kind:
            now_ns = time.monotonic_ns()
            orders = self._manager.view(
                message["number"],
                message["members"],
                message["removed"],
                message["quorate"],
                now_ns,
            )
            self._carry_out(orders, now_ns)
        return None

    def _carry_out(self, orders: Iterable[manager.Order], now_ns: int) -> None:
        for order in orders:
            match order:
                case manager.Start(taken_from):
                    self._serving.start(taken_from, now_ns)
                case manager.Stop(reason):
                    self._serving.stop(reason, now_ns)
                case manager.Confirm(target, view):
                    self._events.emit(ServiceConfirming(t=now_ns, target=target, view=view))
                    self._fence.request(target, view)


def body(config: ServiceConfig, stop: Stop) -> None:
    """Run the daemon until SIGTERM."""
    ServiceDaemon(config).run(stop)
