"""One node's agent: owns the pool and the hooks, gathers the node's events, serves its metrics.

It runs outside the node (root network namespace), as the power supply and the instruments of a
real machine do, and so outlives its node's reboots. The node outlives it likewise: hooks and pool
are pinned, and an agent that finds them so continues the work of the one that was killed.

This is the shell: it reads clocks, maps and sockets. ``memory.py`` decides, ``operations.py``
answers the run.
"""

from __future__ import annotations

import gc
import selectors
import signal
import time

from reserve_agent import tables, wakeups
from reserve_agent.config import AgentConfig
from reserve_agent.contract.events import pressure, run
from reserve_agent.contract.events.base import MalformedEvent
from reserve_agent.contract.packets import Policy
from reserve_agent.exporter import Exporter
from reserve_agent.hooks import pinned
from reserve_agent.hooks.loader import NodeHooks
from reserve_agent.hooks.profile import constants_of
from reserve_agent.journal import JournalReader
from reserve_agent.lines.framing import Message
from reserve_agent.lines.server import LineServer
from reserve_agent.memory import NodeMemory, ReserveRule
from reserve_agent.operations import Operations
from reserve_agent.pool_handle import PoolHandle
from reserve_agent.pressure_report import PressureSender
from reserve_agent.record import NodeHistory

POLL_SECONDS = 0.01
SAMPLE_SECONDS = 0.05
WATCH_SECONDS = 0.002


class Agent:
    """One node's agent; ``run`` returns when SIGTERM arrives."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._successor = pinned.are_complete(config.pins)
        if self._successor:
            self._hooks = NodeHooks.taken_over(config.pins)
        else:
            pinned.remove_pins(config.pins)  # of an agent that was killed while it pinned
            self._hooks = NodeHooks(constants_of(config.kernel, config.card))
            self._hooks.configure(config.settings)
        self._pool = PoolHandle.of(self._hooks)
        self._exporter = Exporter(
            config.node,
            config.run,
            config.scenario,
            self._hooks.counters,
            lambda name: int(getattr(self._hooks.pool, name)),
        )
        self._history = NodeHistory(config.history, config.node, self._exporter.observe)
        self._memory = NodeMemory(
            self._pool,
            config.pages,
            ReserveRule(config.reserve, len(config.interfaces), config.kernel.reserved),
            Policy(self._hooks.config.policy),
            lambda: self._history.summary.sockets,
            self._history.record,
        )
        if not self._successor:
            self._memory.begin(config.clean)
        start = self._history.summary.next_entry if self._successor else None
        self._journal = JournalReader(self._hooks.pool, self._hooks.journal, start)
        self._operations = Operations(
            config, self._hooks, self._pool, self._memory, self._history, self
        )
        told = config.controller
        self._sender = None if told is None else PressureSender(config.node, told)
        self._stopping = False
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Attach, or continue where an agent was killed; serve until SIGTERM; detach."""
        config, summary = self._config, self._history.summary
        self._memory.metrics_port = self._exporter.serve(summary.metrics_port)
        config.socket.unlink(missing_ok=True)  # of an agent that was killed
        if self._successor:
            self._history.record(pressure.AgentRestarted(since=summary.last_t))
        else:
            self._history.record(pressure.JournalFollowed(next=self._journal.next))
            self._history.flush()  # whatever a pin outlives is then on file
            self._hooks.attach(
                netns_pid=config.netns_pid, interfaces=config.interfaces, cgroup=config.cgroup
            )
            self._hooks.pin(config.pins)
        self._memory.describe()
        signal.signal(signal.SIGTERM, self._stop)
        self._server = LineServer(config.socket, self._selector, self._handle)
        try:
            gc.freeze()
            self._loop()
        finally:
            self.hear_daemons()
            self.read_journal()
            self._server.close()
            self.close()

    def close(self) -> None:
        """Close the history, for good where the run has asked for that, and drop the hooks."""
        if self._stopping:
            self._history.finish()
        else:
            self._history.close()
        self._hooks.close()
        if self._sender is not None:
            self._sender.close()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _loop(self) -> None:
        next_poll = time.monotonic()
        next_sample = next_poll
        while not self._stopping:
            for key in wakeups.wait(self._selector, self._patience(next_poll), self._note_late):
                key.data()
            self._tell_of_pressure()
            now = time.monotonic()
            if now < next_poll:
                continue
            self.read_journal()
            if now >= next_sample:
                self.sample()
                next_sample = now + SAMPLE_SECONDS
            next_poll = now + POLL_SECONDS

    def _patience(self, until: float) -> float:
        left = until - time.monotonic()
        return max(0.0, left if self._sender is None else min(left, WATCH_SECONDS))

    def _note_late(self, late_ns: int) -> None:
        self._history.record(pressure.AgentLate(late_ns=late_ns))

    def _tell_of_pressure(self) -> None:
        """The controller hears of it sooner than the history: what counts is when it acts."""
        if self._sender is not None:
            self._pool.tick()
            self._sender.tell(self._pool.pressed_since(), time.monotonic_ns())

    def read_journal(self) -> None:
        """Record what the hooks have written since the last time."""
        self._pool.tick()
        lost = self._journal.lost
        for event in self._journal.new():
            self._history.record(event)
        if self._journal.lost != lost:
            self._history.record(pressure.HookEventsLost(count=self._journal.lost - lost))
        state = self._hooks.pool
        self._memory.watch_emergency(pressure=bool(state.pressure), raised=bool(state.emergency))
        self._history.flush()

    def hear_daemons(self) -> None:
        """Record what the daemons have said by now."""
        self._server.drain()

    def sample(self) -> None:
        """Record the pool's counters, and tell the daemons what is on file."""
        self._history.record(tables.sampled(self._pool.snapshot()))
        self._history.flush()
        self._server.acknowledge()

    def _handle(self, message: Message) -> Message | None:
        """Take an event of a daemon, or a question of the run."""
        if "op" in message:
            return self._operations.answer(message)
        try:
            self._history.report(message)
        except MalformedEvent:
            self._history.record(run.EventsLost(count=1))
        return None
