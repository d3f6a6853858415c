"""The service of one node of the pair: ``nodes.service`` with a simulated target and address."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crunchbed.backends.common.settings import SERVICE_RETRY_NS
from crunchbed.backends.simulation.daemon import Daemon, Home
from crunchbed.backends.simulation.disk import Target
from nodes.membership.fences import FenceAnswer
from nodes.service import manager
from nodes.service.manager import ServiceManager
from nodes.service.serving import Serving
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import ServiceConfirming

TICK_NS: Final = 10_000_000
"""How often the daemon looks what is due (``nodes/service/daemon.py``)."""
START_NS: Final = 30_000_000
"""From the start of a target to its first login: about what nbdkit takes."""


class ServedTarget:
    """Implements ``nodes.service.serving.ServedTarget``: a target from its start to its end."""

    log = "no log"

    def __init__(self, home: Home) -> None:
        self.name = f"{home.name} target"
        self._loop = home.loop
        self._started_ns = home.loop.now_ns()
        self._target = Target(home.host, home.scenario.block_io.port, home.device)
        self._killed = False

    def ended(self) -> str | None:
        """How it ended by itself; None while it runs."""
        return "target ended (-9)" if self._killed else None

    def takes_logins(self) -> bool:
        """Whether initiators can log in."""
        return self._loop.now_ns() - self._started_ns >= START_NS

    def end(self) -> None:
        """Kill it, as the daemon that has started it."""
        self._target.kill()

    def kill(self) -> None:
        """Kill it, as somebody else."""
        self._killed = True
        self._target.kill()


class ServingHost:
    """Implements ``nodes.service.serving.Host``: the address that moves, and the target at it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.target: ServedTarget | None = None

    def start_target(self) -> ServedTarget:
        """Start the target."""
        self.target = ServedTarget(self._home)
        return self.target

    def add_address(self) -> None:
        """Take the address."""
        self._home.host.addresses.add(self._home.portal)

    def remove_address(self) -> None:
        """Give the address up."""
        self.target = None
        self._home.host.addresses.discard(self._home.portal)

    def announce(self) -> None:
        """Tell hosts and switches where the address is now."""
        self._home.host.network.move(self._home.portal, self._home.name, "storage")


class ServiceDaemon(Daemon):
    """Serves the block device while the manager says so."""

    def __init__(self, node: Home) -> None:
        super().__init__(node, "service")
        scenario, now = node.scenario, self._now()
        self._host = ServingHost(node)
        self._serving = Serving(
            node.name, scenario.block_io.transport, node.portal, self._host, node.note
        )
        self._manager = ServiceManager(
            node.name,
            scenario.block_io.pair,
            joining=node.incarnation > 0,
            confirm=scenario.fencing.confirm,
            stops_without_quorum=scenario.no_quorum == "stop",
            retry_ns=SERVICE_RETRY_NS,
        )
        self._views: list[ViewInstalled] = []
        self._answers: list[FenceAnswer] = []
        node.note(DaemonReady(t=now, name="service"))
        self._next(now)

    def tell(self, view: ViewInstalled) -> None:
        """The node's membership has a new view."""
        self._views.append(view)
        self.wake()

    def kill_target(self) -> None:
        """Kill the target that the node serves with, if it does."""
        if self._host.target is not None:
            self._host.target.kill()

    def _turn(self) -> None:
        now = self._now()
        views, self._views = self._views, []
        for one in views:
            told = self._manager.view(one.number, one.names, one.removed, one.quorate, now)
            self._carry_out(told, now)
        answers, self._answers = self._answers, []
        for answer in answers:
            orders = self._manager.fenced(answer.target, answer.view, answer.ok)
            self._carry_out(orders, now)
        self._carry_out(self._manager.tick(now), now)
        self._serving.watch(now)
        self._next(now + TICK_NS)

    def _carry_out(self, orders: Iterable[manager.Order], now: int) -> None:
        for order in orders:
            match order:
                case manager.Start(taken_from):
                    self._serving.start(taken_from, now)
                case manager.Stop(reason):
                    self._serving.stop(reason, now)
                case manager.Confirm(target, view):
                    self._node.note(ServiceConfirming(t=now, target=target, view=view))
                    self._node.fences.ask(target, self._node.name, view, self._answered)

    def _answered(self, answer: FenceAnswer) -> None:
        self._answers.append(answer)
        self.wake()

    def end(self) -> None:
        """End, and serve nothing any more."""
        super().end()
        self._serving.stop("shutdown", self._now())
