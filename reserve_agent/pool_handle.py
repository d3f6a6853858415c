"""A node's page pool, as the agent and the node's daemons see it.

The hooks alone change the pool, under one lock; an operation here is a call of the hook program
``cb_operate`` (about 5 microseconds). Reading is a look into shared memory and costs nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reserve_agent.hooks import libbpf
from reserve_agent.hooks.layout import POOL_FIELDS, Op, Pool

if TYPE_CHECKING:
    from reserve_agent.hooks.loader import NodeHooks  # which a daemon has no use for


class PoolHandle:
    """Operations on one node's pool; not safe to share between threads."""

    def __init__(self, operate_fd: int, state: Pool) -> None:
        self._run = libbpf.TestRun(operate_fd)
        self.state = state

    @classmethod
    def of(cls, hooks: NodeHooks) -> PoolHandle:
        """The pool of hooks that this process loaded."""
        return cls(hooks.program_fd("cb_operate"), hooks.pool)

    @classmethod
    def open(cls, directory: Path) -> PoolHandle:
        """The pool that an agent has pinned in ``directory``."""
        operate = libbpf.open_pinned(directory / "cb_operate")
        memory = libbpf.open_pinned(directory / "cb_pool")
        try:
            return cls(operate, libbpf.map_memory(memory, Pool))
        finally:
            os.close(memory)

    def _operate(self, op: Op, first: int = 0, second: int = 0) -> int:
        fields = self._run.context.cb
        fields[0], fields[1], fields[2] = op, first, second
        self._run()
        return int(fields[3])

    def tick(self) -> None:
        """Bring the pool to the present: readers that are done, windows that have passed."""
        self._operate(Op.TICK)

    def dirty(self, pages: int) -> None:
        """Normal tasks ask for pages; what does not fit above the reserve waits as demand."""
        self._operate(Op.DIRTY, pages)

    def calm(self) -> None:
        """Tasks that wait for pages give up."""
        self._operate(Op.CALM)

    def swap(self, pages: int, level: int) -> None:
        """Tasks that leave ``level`` pages free want more, which others must write first.

        By a kernel's profile alone.
        """
        self._operate(Op.SWAP, pages, level)

    def wake(self) -> None:
        """Readers that did not read do so: what they kept is free."""
        self._operate(Op.WAKE)

    def clean(self, pages: int) -> int:
        """Written and acknowledged: these dirty pages are free again. Returns how many were."""
        return self._operate(Op.CLEAN, pages)

    def resize(self, total: int, reserve: int) -> bool:
        """New size and reserve in pages; False when what is in use would not fit."""
        return bool(self._operate(Op.RESIZE, total, reserve))

    def reset(self, clean: int) -> None:
        """The node rebooted: only ``clean`` pages are in use."""
        self._operate(Op.RESET, clean)

    def set_emergency(self, *, raised: bool) -> None:
        """Raise or lower the flag that the ``critical`` policy obeys."""
        self._operate(Op.EMERGENCY, int(raised))

    def pressed_since(self) -> int | None:
        """When the present pressure began, nanoseconds of CLOCK_MONOTONIC; None: there is none."""
        return int(self.state.pressure_since) if self.state.pressure else None

    def snapshot(self) -> dict[str, int]:
        """All counters of the pool; pages, or nanoseconds where the name says so."""
        values = {name: int(getattr(self.state, name)) for name in POOL_FIELDS}
        values["rx_running"] = int(self.state.running.pages)
        return values
