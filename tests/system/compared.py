"""The state of both nodes, compared after every step; see ``two_nodes``."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from hypothesis.stateful import RuleBasedStateMachine

from reserve_agent.contract.packets import Policy
from reserve_agent.model.card_buffers import CardBuffers
from reserve_agent.model.mark import Mark
from reserve_agent.model.policies import Softnet
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel
from reserve_agent.model.sockets import Socket
from tests.system.twins import (
    NO_SOCKET,
    SAME_NAME,
    CountingModel,
    Hooks,
    buffers_of,
    expected_buffers,
)


class Compared(RuleBasedStateMachine):
    """One node by the reference, one by the hooks.

    Attributes:
        scale: Of the pool's size: a ring takes hundreds of pages.
        seen: Packets that were ``booked`` and ``counted`` only, and ``crossings`` from one to the
            other.
    """

    hooks: ClassVar[Hooks]
    kernel: ClassVar[Kernel]
    card: ClassVar[Card | None]
    scale: ClassVar[int]
    seen: ClassVar[Counter[str]]
    side: str = ""
    model: CountingModel
    sockets: list[Socket]

    def _socket(self, index: int) -> Socket | None:
        return None if index == NO_SOCKET else self.sockets[index]

    def walk(self, mark: Mark) -> None:
        """Note on which side of the border a packet came; of a fragment nobody can tell."""
        if not mark.pages:
            return
        side = "booked" if mark.booked else "counted"
        self.seen[side] += 1
        self.seen["crossings"] += side != (self.side or side)
        self.side = side

    def compare(self) -> None:
        """Everything, after every step."""
        pool, model = self.hooks.node.pool, self.model.pool
        got = {name: int(getattr(pool, name)) for name in SAME_NAME}
        assert got == {name: int(getattr(model, name)) for name in SAME_NAME}
        assert list(pool.running.slot) == model.running.slots
        assert int(pool.running.pages) == model.running.pages
        buffers = self.model.buffers
        if isinstance(buffers, CardBuffers):
            assert buffers_of(pool) == expected_buffers(buffers)
        assert int(pool.flagged) == self.model.flagged % 2**64
        assert int(pool.keepers) == self.model.keepers % 2**64
        assert bool(pool.emergency) == self.model.emergency
        softnet = self.model._policies[Policy.SOFTNET]
        assert isinstance(softnet, Softnet)
        assert int(pool.softnet_backlog_ns) == softnet.backlog_ns
        assert bool(pool.softnet_throttled) == softnet.throttled
        assert self.hooks.counters() == bytes(self.model.table)
        assert int(pool.journal_head) == self.model.journalled
        self.compare_sockets()
        self.check_pages()

    def compare_sockets(self) -> None:
        for index, socket in enumerate(self.sockets):
            raw = self.hooks.read_socket(index)
            assert bool(raw.tx_started) == (socket.tx_base is not None)
            if socket.tx_base is not None:
                got = (raw.tx_base, raw.tx_end, raw.tx_una, raw.generation)
                assert got == (socket.tx_base, socket.tx_end, socket.tx_una, socket.generation)
            assert list(raw.pool.slot) == socket.pool.slots
            held = (raw.hoarded, raw.wakes, raw.unread, raw.from_reserve)
            assert held == (socket.hoarded, socket.wakes, socket.unread, socket.from_reserve)

    def check_pages(self) -> None:
        pool = self.hooks.node.pool
        parts = [
            int(getattr(pool, name))
            for name in (
                "free",
                "clean",
                "dirty",
                "squeezed",
                "rx_stalled",
                "tx",
                "hoarded",
                "stock",
            )
        ]
        parts.append(int(pool.running.pages))
        assert sum(parts) == int(pool.total), "pages are conserved"
        assert all(part <= int(pool.total) for part in parts), "none is negative (unsigned)"
        assert int(pool.low_water) <= int(pool.total), "the bottom is never passed"
