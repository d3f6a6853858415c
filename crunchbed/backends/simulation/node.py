"""A node of a simulated cluster: its power, its memory, its daemons, its history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Final

from crunchbed.backends.common.settings import clean_pages, port_rules
from crunchbed.backends.simulation.calm import MOST_IN_BYTES, Membership
from crunchbed.backends.simulation.daemon import Daemon
from crunchbed.backends.simulation.daemons import DAEMONS
from crunchbed.backends.simulation.disk import Device
from crunchbed.backends.simulation.fences import FenceService
from crunchbed.backends.simulation.heartbeats import HeartbeatDaemon
from crunchbed.backends.simulation.host import Host
from crunchbed.backends.simulation.initiator import InitiatorDaemon
from crunchbed.backends.simulation.loop import SimulatedLoop
from crunchbed.backends.simulation.memory import SimulatedMemory
from crunchbed.backends.simulation.network import SimulatedNetwork
from crunchbed.backends.simulation.service import ServiceDaemon
from crunchbed.history.recorder import Recorder
from crunchbed.run.world import NodeStatus
from crunchbed.scenario import sizing
from crunchbed.scenario.schema import Scenario
from nodes.block.pattern import Stamp
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.contract.events.writes import WriteAcknowledged
from reserve_agent.errors import RunInvalid
from reserve_agent.record import NodeSummary

START_NS: Final = 300_000_000
"""From power to a daemon's first words: about what a process of Python takes."""
CONNECTS_NS: Final = 20_000
"""Between the first connections of a large cluster's nodes: not all fit a link at one moment."""


class SimulatedNode:
    """Implements ``crunchbed.run.world.Node``.

    Attributes:
        device: The blocks behind every target.
        portal: Where its initiator finds the block target, and its service serves.
        fences: Whom its daemons ask to cut a node off.
        membership: What its heartbeat daemon has in common with the others.
        acknowledged: The newest acknowledged write of each block.
    """

    def __init__(
        self,
        name: str,
        scenario: Scenario,
        loop: SimulatedLoop,
        network: SimulatedNetwork,
        device: Device,
        recorder: Recorder,
        membership: Membership,
    ) -> None:
        self.name = name
        self.scenario = scenario
        self.loop = loop
        self.up = False
        self.incarnation = 0
        self.portal = ""
        self.fences: FenceService
        self.device = device
        self.membership = membership
        self._recorder = recorder
        self._summary = NodeSummary()
        interfaces = len(network.layout(name).links)
        self.memory = SimulatedMemory(scenario, loop, self._summary, self.note, interfaces)
        self.host = Host(name, loop, network, port_rules(scenario), self.memory)
        self._network = network
        self._daemons: dict[str, Daemon] = {}
        self._view: ViewInstalled | None = None
        self._index = scenario.index_of(name)
        self.acknowledged: dict[int, Stamp] = {}
        network.power(name, on=False)

    @property
    def serves(self) -> bool:
        """Whether the node is one of the pair, and so writes nothing."""
        return self.name in self.scenario.block_io.pair

    @property
    def daemon_names(self) -> tuple[str, ...]:
        """The daemons of a node that is up, in the order of their start."""
        return ("heartbeat", "service" if self.serves else "initiator", "traffic")

    def note(self, event: Event) -> None:
        """Put an event into the node's part of the history."""
        event = event.stamped(self.loop.now_ns(), self.name)
        self._summary.apply(event)
        if isinstance(event, WriteAcknowledged):
            self._remember(event)
        self._recorder.record(event)

    def _remember(self, done: WriteAcknowledged) -> None:
        for block in range(done.block, done.block + done.blocks):
            self.acknowledged[block] = Stamp(self._index, done.incarnation, done.seq, block)

    # --- power

    def power_on(self) -> None:
        """Boot the node: link up, daemons started; they say when they are ready."""
        self.up = True
        self._network.power(self.name, on=True)
        for socket in sizing.throttled(self.scenario):
            self.memory.manager.attach(asdict(socket))
        life, starts_ns = self.incarnation, self.loop.now_ns() + START_NS
        for name in self.daemon_names:
            later = self._connects_ns if name == "initiator" else 0
            self.loop.at(starts_ns + later, partial(self._start, name, life))

    @property
    def _connects_ns(self) -> int:
        """By how much later than the other daemons the initiator starts: not all at one moment."""
        large = self.scenario.cluster.nodes > MOST_IN_BYTES and not self.incarnation
        return self._index * CONNECTS_NS if large else 0

    def _start(self, name: str, life: int) -> None:
        if self.up and self.incarnation == life:
            self._daemons[name] = DAEMONS[name](self)
            if name == "service" and self._view is not None:
                self.tell_view(self._view)  # what the membership has said before

    def power_off(self) -> None:
        """Cut the node off for certain: its links first, then everything that runs on it."""
        self._network.power(self.name, on=False)
        self.memory.count_reserve_users()
        for daemon in self._daemons.values():
            daemon.die()
        self._daemons.clear()
        self.host.vanish()
        self.up, self._view = False, None
        self.incarnation += 1
        self.memory.manager.reset(clean_pages(self.scenario))

    def stirs_by(self, ns: int, but: str) -> bool:
        """Whether a daemon other than ``but`` has a turn until then."""
        for name, daemon in self._daemons.items():
            due_ns = daemon.due_ns
            if due_ns is not None and due_ns <= ns and name != but:
                return True
        return False

    def tell_sums(self) -> None:
        """Write down what the heartbeat daemon has counted up to this moment."""
        daemon = self._daemons.get("heartbeat")
        if isinstance(daemon, HeartbeatDaemon):
            daemon.tell_sums()

    def end_daemons(self) -> None:
        """End the daemons; the node stays up."""
        for daemon in self._daemons.values():
            daemon.end()
        self._daemons.clear()

    # --- what the run asks

    def status(self) -> NodeStatus:
        """Return how the node is."""
        told, pool = self._summary, self.memory.state
        daemon = self._daemons.get("heartbeat")
        rules = daemon.rules if isinstance(daemon, HeartbeatDaemon) else None
        view = told.view if told.view or rules is None else rules.membership.view.names
        return NodeStatus(
            up=self.up,
            ready=told.ready,
            view=view,
            serving=told.serving,
            misses=told.misses,
            written_pages=told.written,
            exhausted=told.exhausted,
            policy=self.memory.manager.policy.name.lower(),
            pressure=pool.pressure,
            waiting_pages=self.memory.waiting,
            free_pages=pool.free,
            reserve_pages=pool.reserve,
        )

    def begin_burst(self, pages: int, rate: int, start_ns: int) -> None:
        """Have the node's tasks dirty pages from a moment on."""
        self._initiator("burst").burst(pages, rate, start_ns)

    def calm(self) -> None:
        """Have the node's tasks give up what they still wait for."""
        self._initiator("calm").calm()

    def _initiator(self, op: str) -> InitiatorDaemon:
        daemon = self._daemons.get("initiator")
        if not isinstance(daemon, InitiatorDaemon):
            raise RunInvalid(f"{self.name} does not take {op}: it has no initiator now")
        return daemon

    def begin_windows(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """Leave the node few free pages in each window."""
        self.memory.add_windows(windows)

    def wake(self) -> None:
        """Have readers that did not read do so."""
        self.memory.wake()

    def resize(self, reserve: int) -> int:
        """Give the node a reserve of so many pages; returns how many the reserve had."""
        return self.memory.manager.resize(reserve)

    def set_policy(self, policy: str) -> None:
        """Have the node follow another policy."""
        self.memory.switch(policy)

    def pause(self, daemons: Collection[str]) -> None:
        """Have these daemons stand still."""
        for daemon in self._those(daemons):
            daemon.pause()

    def resume(self, daemons: Collection[str]) -> None:
        """Let the paused daemons go on."""
        for daemon in self._those(daemons):
            daemon.resume()

    def _those(self, names: Collection[str]) -> Iterable[Daemon]:
        return [daemon for name, daemon in self._daemons.items() if name in names]

    def forget_neighbours(self) -> int:
        """Forget the hardware addresses of all other hosts; returns how many those are."""
        self.host.neighbours.forget()
        return len(self._network.hosts) - 1

    def count_reserve_users(self) -> None:
        """Write into the history which sockets the reserve went to."""
        self.memory.count_reserve_users()

    def count_packets(self) -> None:
        """Write the node's packet counters into the history."""
        self.memory.count_packets()

    def watchdog_due(self) -> bool:
        """No daemon here dies of a signal."""
        return False

    def check(self) -> None:
        """There is no process that could die."""

    def tell_view(self, view: ViewInstalled) -> None:
        """Tell the node's service of a view."""
        service = self._daemons.get("service")
        if isinstance(service, ServiceDaemon):
            service.tell(view)
        else:
            self._view = view

    def kill_target(self) -> None:
        """Kill the target that the node serves with, if it does; its service goes on."""
        service = self._daemons.get("service")
        if isinstance(service, ServiceDaemon):
            service.kill_target()
