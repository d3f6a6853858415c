"""One node's agent: owns the pool and the hooks, gathers the node's events, serves its metrics.

It runs outside the node (root network namespace), as the power supply and the instruments of a
real machine do, and so outlives its node's reboots. The node outlives it likewise: hooks and pool
are pinned, and an agent that finds them so goes on where the one before it was killed.
"""

from __future__ import annotations

import gc
import selectors
import signal
import time

from reserve_agent import tables
from reserve_agent.config import AgentConfig
from reserve_agent.contract.packets import MAX_WINDOWS, Policy
from reserve_agent.errors import HookError
from reserve_agent.exporter import Exporter
from reserve_agent.hooks import audit, pinned
from reserve_agent.hooks.layout import Window
from reserve_agent.hooks.loader import NodeHooks
from reserve_agent.journal import JournalReader
from reserve_agent.lines import LineServer, Message
from reserve_agent.pool_handle import PoolHandle
from reserve_agent.pressure_report import PressureSender
from reserve_agent.record import NodeHistory
from reserve_agent.sizing import computed_pages
from reserve_agent.wakeups import Wakeups

POLL_SECONDS = 0.01
SAMPLE_SECONDS = 0.05
WATCH_SECONDS = 0.002


class Agent:
    """See the module; ``run`` returns when SIGTERM arrives."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._successor = pinned.are_complete(config.pins)
        if self._successor:
            self._hooks = NodeHooks.taken_over(config.pins)
        else:
            pinned.remove_pins(config.pins)  # of an agent that was killed while it pinned
            self._hooks = NodeHooks(config.hook_object)
            self._hooks.configure(config.settings)
        self._pool = PoolHandle.of(self._hooks)
        self._exporter = Exporter(
            config.node,
            None,
            self._hooks.counters,
            lambda name: int(getattr(self._hooks.pool, name)),
        )
        self._history = NodeHistory(config.history, config.node, self._exporter.observe)
        self._state = self._history.state
        if not self._successor:
            self._pool.resize(config.pages, self._wanted_reserve())
            self._pool.reset(config.clean)
        start = self._state.next_entry if self._successor else None
        self._journal = JournalReader(self._hooks.pool, self._hooks.journal, start)
        self._policy = Policy(self._hooks.config.policy)
        self._sender = PressureSender.to(config.controller, config.node)
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._wakeups = Wakeups(self._selector, self._note_late)

    def run(self) -> None:
        """Attach, or go on where an agent was killed; serve until SIGTERM; detach."""
        config = self._config
        self._port = self._exporter.serve(self._state.metrics_port)
        config.socket.unlink(missing_ok=True)  # of an agent that was killed
        if self._successor:
            self._history.record({"kind": "agent.restarted", "since": self._state.last_t})
        else:
            self._history.record({"kind": "journal.follow", "next": self._journal.next})
            self._history.flush()  # whatever a pin outlives is then on file
            self._hooks.attach(
                netns_pid=config.netns_pid, interfaces=config.interfaces, cgroup=config.cgroup
            )
            self._hooks.pin(config.pins)
        self._describe()
        signal.signal(signal.SIGTERM, self._stop)
        self._server = LineServer(config.socket, self._selector, self._handle)
        try:
            gc.freeze()
            self._loop()
        finally:
            self._drain()
            self._server.close()
            self.close()

    def close(self) -> None:
        """Close the history and drop the hooks."""
        self._history.close()
        self._hooks.close()
        if self._sender is not None:
            self._sender.close()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _describe(self) -> None:
        name = self._policy.name.lower()
        self._exporter.describe_run(self._config.run, self._config.scenario, name)
        pool = self._pool.snapshot()
        self._record(
            {
                "kind": "pool.config",
                **{name: pool[name] for name in ("total", "reserve", "clean")},
                "computed": self._computed(),
                "policy": name,
                "metrics_port": self._port,
            }
        )

    def _loop(self) -> None:
        next_poll = time.monotonic()
        next_sample = next_poll
        while not self._stopping:
            for key in self._wakeups.wait(self._patience(next_poll)):
                key.data()
            self._tell_of_pressure()
            now = time.monotonic()
            if now < next_poll:
                continue
            self._drain()
            if now >= next_sample:
                self._sample()
                next_sample = now + SAMPLE_SECONDS
            next_poll = now + POLL_SECONDS

    def _patience(self, until: float) -> float:
        left = until - time.monotonic()
        return max(0.0, left if self._sender is None else min(left, WATCH_SECONDS))

    def _note_late(self, late_ns: int) -> None:
        self._record({"kind": "agent.late", "late_ns": late_ns})

    def _tell_of_pressure(self) -> None:
        """The controller hears of it sooner than the history: what counts is when it acts."""
        if self._sender is not None:
            self._pool.tick()
            self._sender.tell(self._pool.pressed_since(), time.monotonic_ns())

    def _drain(self) -> None:
        """Take over what the hooks have written since the last poll."""
        self._pool.tick()
        lost = self._journal.lost
        for event in self._journal.new():
            self._record(event.record())
        if self._journal.lost != lost:
            self._record({"kind": "hook.events_lost", "count": self._journal.lost - lost})
        if self._policy is Policy.CRITICAL:
            self._watch_emergency()
        self._history.flush()

    def _watch_emergency(self) -> None:
        """The flag follows the pressure that the agent sees, as late as the agent sees it."""
        state = self._hooks.pool
        if bool(state.pressure) != bool(state.emergency):
            self._pool.set_emergency(raised=bool(state.pressure))
            self._record({"kind": "emergency", "raised": bool(state.pressure)})

    def _sample(self) -> None:
        self._record({"kind": "pool.sample", **tables.sample(self._pool.snapshot())})
        self._history.flush()
        self._server.acknowledge()

    def _record(self, event: Message) -> None:
        self._history.record(event)

    def _handle(self, message: Message) -> Message | None:
        """An event of a daemon, or a question of the run."""
        if "op" not in message:
            self._note(message)
            return None
        answer = getattr(self, f"_op_{message['op']}", None)
        if answer is None:
            return {"error": f"unknown operation {message['op']!r}"}
        try:
            reply: Message = answer(message)
        except (KeyError, TypeError, ValueError, OSError, HookError) as error:
            reply = {"error": f"{message['op']}: {error!r}"}
        self._history.flush()
        return reply

    def _note(self, event: Message) -> None:
        if isinstance(event.get("kind"), str):
            self._history.report(event)

    def _op_status(self, _message: Message) -> Message:
        """What the run waits for and shows."""
        return {
            "ready": self._state.ready,
            "view": self._state.view,
            "serving": self._state.serving,
            "misses": self._state.misses,
            "written": self._state.written,
            "exhausted": self._state.exhausted,
            "policy": self._policy.name.lower(),
            "metrics_port": self._port,
            "pool": self._pool.snapshot(),
        }

    def _op_event(self, message: Message) -> Message:
        """Record what the run knows about this node."""
        self._record(dict(message["event"]))
        return {"ok": True}

    def _op_windows(self, message: Message) -> Message:
        """Add windows without a free page: [[start_ns, end_ns, level], ...], in order."""
        config, windows = self._hooks.config, self._hooks.windows
        first = int(config.windows)
        ahead = first - int(self._hooks.pool.window)
        if ahead + len(message["windows"]) > MAX_WINDOWS:
            return {"error": f"at most {MAX_WINDOWS} windows at a time, and {ahead} are to come"}
        for index, (start, end, level) in enumerate(message["windows"], first):
            windows.entries[index % MAX_WINDOWS] = Window(start, end, level)
        config.windows = first + len(message["windows"])
        return {"ok": True}

    def _op_resize(self, message: Message) -> Message:
        """Another reserve, until the sockets say otherwise; refused where it does not fit."""
        was, reserve = int(self._hooks.pool.reserve), int(message["reserve"])
        if not self._pool.resize(self._config.pages, reserve):
            return {"error": f"a reserve of {reserve} pages does not fit {self._config.pages}"}
        self._describe()
        return {"ok": True, "was": was}

    def _op_losses(self, message: Message) -> Message:
        """What the wire loses from now on: [[address or null, share], ...]; nothing when empty."""
        self._hooks.lose([(source, share) for source, share in message["losses"]])
        return {"ok": True}

    def _op_reset(self, message: Message) -> Message:
        """The node lost power: its memory is gone, its daemons with it.

        What they said last is heard first, lest it be taken for the words of those to come.
        """
        self._drain()
        self._server.drain()
        self._pool.reset(message["clean"])
        self._record({"kind": "node.reset"})
        return {"ok": True}

    def _op_wake(self, _message: Message) -> Message:
        """Readers that did not read do so."""
        self._pool.wake()
        return {"ok": True}

    def _op_policy(self, message: Message) -> Message:
        """Switch the policy; it holds from the next packet on, and no page moves."""
        self._policy = Policy[message["policy"].upper()]
        self._hooks.config.policy = self._policy
        if self._policy is not Policy.CRITICAL:
            self._pool.set_emergency(raised=False)
        self._describe()
        return {"ok": True}

    def _wanted_reserve(self) -> int:
        if self._config.reserve is not None:
            return self._config.reserve
        return self._computed()

    def _computed(self) -> int:
        return computed_pages(list(self._state.sockets.values()), len(self._config.interfaces))

    def _op_attach(self, message: Message) -> Message:
        """A throttled memalloc socket is there, or has another queue depth."""
        self._record({"kind": "socket.attached", "socket": message["socket"]})
        return self._follow_sockets()

    def _op_detach(self, message: Message) -> Message:
        """It is gone."""
        self._record({"kind": "socket.detached", "name": message["name"]})
        return self._follow_sockets()

    def _follow_sockets(self) -> Message:
        """Compute the reserve anew; resize it where it is ours to choose, warn where it is not."""
        needed, reserve = self._computed(), self._wanted_reserve()
        if reserve != self._hooks.pool.reserve:
            if not self._pool.resize(self._config.pages, reserve):
                text = f"a reserve of {reserve} pages does not fit {self._config.pages}"
                return {"error": text}
            self._describe()
        if reserve < needed:
            self._record({"kind": "reserve.small", "reserve": reserve, "computed": needed})
        return {"reserve": reserve, "computed": needed}

    def _op_audit(self, _message: Message) -> Message:
        """Facts for ``crunchbed audit``."""
        return {
            "interfaces": self._config.interfaces,
            "policy": self._policy.name.lower(),
            "enforce": bool(self._hooks.config.enforce),
            "block_io_packets": audit.block_io_packets(self._hooks),
            "protocols": audit.protocols(self._hooks),
            "sockets": audit.sockets(self._hooks, self._config.settings.rules),
            "throttled": list(self._state.sockets.values()),
        }

    def _op_sockets(self, _message: Message) -> Message:
        """Write down which sockets the reserve went to; to be asked before they are closed."""
        seen = audit.sockets(self._hooks, self._config.settings.rules)
        self._record({"kind": "reserve.users", "table": tables.reserve_users(seen)})
        return {"ok": True}

    def _op_packets(self, _message: Message) -> Message:
        """Write the packet counters into the history, and whatever the daemons have said."""
        self._server.drain()
        table = tables.packets(self._hooks.counters())
        self._record({"kind": "packets", "table": table})
        self._drain()
        self._sample()
        return {"ok": True}
