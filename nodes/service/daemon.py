"""The service daemon of one node of the pair: a target, an address and a fence around the manager.

It follows its own node's membership, whose daemon tells it every view over a Unix socket. A target
that ends by itself while this node serves is started again here, as cluster managers do before they
move anything; a node that fails is the membership's affair.
"""

from __future__ import annotations

import contextlib
import selectors
import time
from collections.abc import Iterable
from pathlib import Path

from nodes.block.target import require_program
from nodes.daemon import Config, Stop, connect_events
from nodes.fencing import FenceClient
from nodes.service import manager
from nodes.service.address import add_address, announce, remove_address
from nodes.service.manager import ServiceManager
from nodes.service.target import ServedTarget, target_settings
from reserve_agent.errors import CrunchbedError
from reserve_agent.events import Events
from reserve_agent.lines import LineServer, Message

_TICK_SECONDS = 0.01
_ANNOUNCE_AGAIN_NS = 200_000_000
_MOST_FAILED_STARTS = 3


class Service:
    """What this node does while it serves: its target, and the address on its interface.

    Args:
        config: the daemon's.
        events: told of each start and stop.
    """

    def __init__(self, config: Config, events: Events) -> None:
        self._node: str = config["node"]
        self._interface: str = config["interface"]
        self._events = events
        self._settings = target_settings(config["target"])
        self._log = Path(config["log"])
        self._taken_from: str | None = None
        self._failed_starts = 0
        self._announce_again_ns: int | None = None
        self.target: ServedTarget | None = None

    def start(self, taken_from: str | None) -> None:
        """Take the address and start the target; ``watch`` tells when it accepts."""
        self._taken_from = taken_from
        self._failed_starts = 0
        require_program(self._settings)
        add_address(self._interface, self._settings.address)
        self._spawn()

    def _spawn(self) -> None:
        self.target = ServedTarget(self._settings, f"{self._node} target", self._log)

    def stop(self, reason: str) -> None:
        """End the target, then give the address up."""
        target, self.target = self.target, None
        if target is None:
            return
        target.end()
        remove_address(self._interface, self._settings.address)
        self._announce_again_ns = None
        if target.accepts:
            self._tell_stop(reason)

    def watch(self, now_ns: int) -> None:
        """See whether the target has come up, or has ended.

        Raises:
            CrunchbedError: it cannot be started.
        """
        if self.target is None:
            return
        if self.target.came_up():
            self._came_up(now_ns)
        elif (ended := self.target.ended()) is not None:
            self._start_again(ended)
        elif self._announce_again_ns is not None and now_ns >= self._announce_again_ns:
            self._announce_again_ns = None
            self._announce()

    def _came_up(self, now_ns: int) -> None:
        self._failed_starts = 0
        self._announce()
        self._announce_again_ns = now_ns + _ANNOUNCE_AGAIN_NS
        self._events.emit(
            "service.start",
            target=self._node,
            transport=self._settings.transport,
            address=self._settings.address,
            taken_from=self._taken_from,
        )
        self._taken_from = None

    def _start_again(self, ended: str) -> None:
        if self.target is not None and self.target.accepts:
            self._tell_stop(ended)
        else:
            self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise CrunchbedError(ended)
        self._spawn()

    def _announce(self) -> None:
        # A link that is down tells nobody; whoever asks once it is up gets the answer.
        with contextlib.suppress(OSError):
            announce(self._interface, self._settings.address)

    def _tell_stop(self, reason: str) -> None:
        self._events.emit("service.stop", target=self._node, reason=reason)


class ServiceDaemon:
    """One node's daemon; ``run`` returns when it is told to stop."""

    def __init__(self, config: Config) -> None:
        self._events = connect_events(config)
        self._service = Service(config, self._events)
        self._fence = FenceClient(Path(config["fence"]), config["node"])
        self._manager = ServiceManager(
            config["node"],
            config["pair"],
            joining=config["joining"],
            confirm=config["confirm"],
            retry_ns=config["retry_ns"],
        )
        self._selector = selectors.DefaultSelector()
        self._server = LineServer(Path(config["listen"]), self._selector, self._hear)

    def run(self, stop: Stop) -> None:
        """Follow the membership; at the end nothing is served."""
        self._events.emit("daemon.ready", name="service")
        try:
            while not stop:
                for key, _ in self._selector.select(_TICK_SECONDS):
                    key.data()
                self._turn(time.monotonic_ns())
        finally:
            self._service.stop("shutdown")
            self._server.close()

    def _turn(self, now_ns: int) -> None:
        for answer in self._fence.answers():
            self._carry_out(self._manager.fenced(answer.target, answer.view, answer.ok))
        self._carry_out(self._manager.tick(now_ns))
        self._service.watch(now_ns)

    def _hear(self, message: Message) -> Message | None:
        """A view from the membership daemon, or a question of the run."""
        if message.get("op") == "status":
            target = self._service.target
            accepts = target is not None and target.accepts
            return {"serving": accepts, "target_pid": None if target is None else target.pid}
        if message.get("kind") == "membership.view":
            orders = self._manager.view(
                message["number"],
                message["members"],
                message["removed"],
                message["quorate"],
                time.monotonic_ns(),
            )
            self._carry_out(orders)
        return None

    def _carry_out(self, orders: Iterable[manager.Order]) -> None:
        for order in orders:
            match order:
                case manager.Start(taken_from):
                    self._service.start(taken_from)
                case manager.Stop(reason):
                    self._service.stop(reason)
                case manager.Confirm(target, view):
                    self._events.emit("service.confirm", target=target, view=view)
                    self._fence.request(target, view)


def body(config: Config) -> None:
    """Run the daemon until SIGTERM."""
    ServiceDaemon(config).run(Stop())
