"""What an agent decides about its node's memory: reserve, policy, emergency flag.

No clock, socket or map is read here: the pool is told what to do, and ``record`` is told what
belongs into the node's history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.faults import NodeReset
from reserve_agent.contract.events.pressure import (
    EmergencyChanged,
    PoolConfigured,
    ReserveSmall,
    SocketAttached,
    SocketDetached,
)
from reserve_agent.contract.packets import Policy
from reserve_agent.errors import BadInput
from reserve_agent.model.profiles.kernel import Ratio
from reserve_agent.sizing import Throttled, computed_pages


class PoolControl(Protocol):
    """The operations of ``PoolHandle`` that the decisions need."""

    def snapshot(self) -> dict[str, int]:
        """See ``PoolHandle.snapshot``."""

    def resize(self, total: int, reserve: int) -> bool:
        """See ``PoolHandle.resize``."""

    def reset(self, clean: int) -> None:
        """See ``PoolHandle.reset``."""

    def set_emergency(self, *, raised: bool) -> None:
        """See ``PoolHandle.set_emergency``."""


@dataclass(frozen=True)
class ReserveRule:
    """How many pages the reserve is to have.

    Attributes:
        fixed: Pages that the scenario asks for; None: as many as the sockets need.
        interfaces: Interfaces whose receive buffers count.
        reserved: The share of the reserve that memalloc sockets have for themselves.
    """

    fixed: int | None
    interfaces: int
    reserved: Ratio

    def needed(self, sockets: Iterable[Throttled]) -> int:
        """Pages of the reserve that these sockets and the interfaces need."""
        return computed_pages(list(sockets), self.interfaces, self.reserved)

    def wanted(self, sockets: Iterable[Throttled]) -> int:
        """Pages that the reserve is to have."""
        return self.needed(sockets) if self.fixed is None else self.fixed


class NodeMemory:
    """The memory of one node, as its agent manages it.

    ``sockets`` returns the throttled memalloc sockets by name, as the history has them, and
    ``record`` adds an event to the history.

    Attributes:
        policy: The policy in force.
        metrics_port: Port of the node's metrics, for ``pool.config``.
    """

    def __init__(
        self,
        pool: PoolControl,
        pages: int,
        rule: ReserveRule,
        policy: Policy,
        sockets: Callable[[], Mapping[str, Throttled]],
        record: Callable[[Event], None],
    ) -> None:
        self.policy = policy
        self.metrics_port = 0
        self._pool = pool
        self._pages = pages
        self._rule = rule
        self._sockets = sockets
        self._record = record

    def begin(self, clean: int) -> None:
        """Set the pool up for a node that starts with ``clean`` pages in use."""
        self._pool.resize(self._pages, self._rule.wanted(self._sockets().values()))
        self._pool.reset(clean)

    def describe(self) -> None:
        """Record how the memory is laid out."""
        pool = self._pool.snapshot()
        self._record(
            PoolConfigured(
                total=pool["total"],
                reserve=pool["reserve"],
                clean=pool["clean"],
                computed=self._rule.needed(self._sockets().values()),
                booked=pool.get("border"),
                policy=self.policy.name.lower(),
                metrics_port=self.metrics_port,
            )
        )

    def reset(self, clean: int) -> None:
        """The node lost power: its memory is gone, its daemons with it."""
        self._pool.reset(clean)
        self._record(NodeReset())

    def resize(self, reserve: int) -> int:
        """Set the reserve, until the sockets say otherwise; returns the pages before.

        Raises:
            BadInput: the pages in use and this reserve do not fit into the pool.
        """
        was = self._pool.snapshot()["reserve"]
        if not self._pool.resize(self._pages, reserve):
            raise BadInput(f"a reserve of {reserve} pages does not fit {self._pages}")
        self.describe()
        return was

    def attach(self, socket: Mapping[str, str | int | bool]) -> dict[str, int]:
        """A throttled memalloc socket is there, or has another queue depth.

        Returns:
            Pages of the reserve, and pages that the sockets need: ``reserve`` and ``computed``.

        Raises:
            BadInput: the reserve that the sockets need does not fit.
            TypeError: these are not the fields of ``Throttled``.
        """
        self._record(SocketAttached(socket=socket))
        return self._follow_sockets()

    def detach(self, name: str) -> dict[str, int]:
        """A throttled memalloc socket is gone; see ``attach``."""
        self._record(SocketDetached(name=name))
        return self._follow_sockets()

    def _follow_sockets(self) -> dict[str, int]:
        """Resize the reserve where its size follows the sockets; record it where it is small."""
        sockets = self._sockets().values()
        needed, reserve = self._rule.needed(sockets), self._rule.wanted(sockets)
        if reserve != self._pool.snapshot()["reserve"]:
            self.resize(reserve)
        if reserve < needed:
            self._record(ReserveSmall(reserve=reserve, computed=needed))
        return {"reserve": reserve, "computed": needed}

    def switch(self, policy: Policy) -> None:
        """The hooks follow another policy from the next packet on; no page moves."""
        self.policy = policy
        if policy is not Policy.CRITICAL:
            self._pool.set_emergency(raised=False)
        self.describe()

    def watch_emergency(self, *, pressure: bool, raised: bool) -> None:
        """Have the emergency flag follow the pressure, as late as the agent sees it."""
        if self.policy is Policy.CRITICAL and pressure != raised:
            self._pool.set_emergency(raised=pressure)
            self._record(EmergencyChanged(raised=pressure))
