"""What a run can ask of a node's agent: a table of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from reserve_agent import tables
from reserve_agent.answers import answer
from reserve_agent.config import AgentConfig
from reserve_agent.contract.packets import MAX_WINDOWS, Policy
from reserve_agent.errors import BadInput
from reserve_agent.hooks import audit
from reserve_agent.hooks.layout import Window
from reserve_agent.hooks.loader import NodeHooks
from reserve_agent.lines.framing import Message
from reserve_agent.memory import NodeMemory
from reserve_agent.pool_handle import PoolHandle
from reserve_agent.record import NodeHistory

_OK: Final[Message] = {"ok": True}


class Sources(Protocol):
    """Where events come from that may wait unread when a question arrives."""

    def read_journal(self) -> None:
        """Record what the hooks have written since the last time."""

    def hear_daemons(self) -> None:
        """Record what the daemons have said by now."""

    def sample(self) -> None:
        """Record the pool's counters, and tell the daemons what is on file."""


@dataclass(frozen=True)
class Operations:
    """The operations of one node's agent."""

    config: AgentConfig
    hooks: NodeHooks
    pool: PoolHandle
    memory: NodeMemory
    history: NodeHistory
    sources: Sources

    def answer(self, message: Message) -> Message:
        """Carry out one operation: ``op`` is its name, and the other keys are its fields.

        What it has recorded is on file when this returns. A reply with ``error`` says why not.
        """
        reply = answer(_OPERATIONS, self, message)
        self.history.flush()
        return reply

    def status(self) -> Message:
        """Tell what the run waits for and shows."""
        return {
            **self.history.summary.told(),
            "policy": self.memory.policy.name.lower(),
            "metrics_port": self.memory.metrics_port,
            "pool": self.pool.snapshot(),
        }

    def event(self, event: Message) -> Message:
        """Record what the run knows about this node."""
        self.history.report(dict(event))
        return _OK

    def windows(self, windows: Sequence[Sequence[int]]) -> Message:
        """Add windows without a free page: [[start_ns, end_ns, level], ...], in order."""
        config, table = self.hooks.config, self.hooks.windows
        first = int(config.windows)
        ahead = first - int(self.hooks.pool.window)
        if ahead + len(windows) > MAX_WINDOWS:
            raise BadInput(f"at most {MAX_WINDOWS} windows at a time, and {ahead} are to come")
        for index, (start, end, level) in enumerate(windows, first):
            table.entries[index % MAX_WINDOWS] = Window(start, end, level)
        config.windows = first + len(windows)
        return _OK

    def resize(self, reserve: int) -> Message:
        """Set another reserve, until the sockets say otherwise; refused where it does not fit."""
        return {**_OK, "was": self.memory.resize(int(reserve))}

    def losses(self, losses: Sequence[tuple[str | None, float]]) -> Message:
        """Have the wire lose packets: [[address or null, share], ...]; nothing when empty."""
        self.hooks.lose([(source, share) for source, share in losses])
        return _OK

    def reset(self, clean: int) -> Message:
        """Record that the node lost power.

        What its daemons have said last is read first, lest it be taken for the word of the next.
        """
        self.sources.read_journal()
        self.sources.hear_daemons()
        self.memory.reset(clean)
        return _OK

    def wake(self) -> Message:
        """Have readers that did not read do so."""
        self.pool.wake()
        return _OK

    def policy(self, policy: str) -> Message:
        """Switch the policy; it holds from the next packet on."""
        chosen = Policy[policy.upper()]
        self.hooks.config.policy = chosen
        self.memory.switch(chosen)
        return _OK

    def attach(self, socket: Mapping[str, str | int | bool]) -> Message:
        """Note a throttled memalloc socket, or its new queue depth."""
        return self.memory.attach(socket)

    def detach(self, name: str) -> Message:
        """Note that a throttled memalloc socket is gone."""
        return self.memory.detach(name)

    def audit(self) -> Message:
        """Tell the facts for ``crunchbed audit``."""
        return {
            "interfaces": self.config.interfaces,
            "policy": self.memory.policy.name.lower(),
            "enforce": bool(self.hooks.config.enforce),
            "block_io_packets": audit.block_io_packets(self.hooks),
            "protocols": audit.protocols(self.hooks),
            "sockets": audit.sockets(self.hooks, self.config.settings.rules),
            "throttled": list(self.history.summary.sockets.values()),
        }

    def sockets(self) -> Message:
        """Record which sockets the reserve went to; to be asked before they are closed."""
        seen = audit.sockets(self.hooks, self.config.settings.rules)
        self.history.record(tables.reserve_users(seen))
        return _OK

    def packets(self) -> Message:
        """Record the packet counters, and all that the daemons have said before."""
        self.sources.hear_daemons()
        self.history.record(tables.packets_counted(self.hooks.counters()))
        self.sources.read_journal()
        self.sources.sample()
        return _OK


_OPERATIONS: Final[Mapping[str, Callable[..., Message]]] = {
    operation.__name__: operation
    for operation in (
        *(Operations.status, Operations.event, Operations.windows, Operations.resize),
        *(Operations.losses, Operations.reset, Operations.wake, Operations.policy),
        *(Operations.attach, Operations.detach, Operations.audit, Operations.sockets),
        Operations.packets,
    )
}
"""Every operation by its name on the wire."""
