"""Until the faults know ``crunchbed.run.world``: what they act on today, made of it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from crunchbed.history.recorder import Recorder
from crunchbed.run.world import Impairment, Node, World

if TYPE_CHECKING:
    from crunchbed.run.faults.injector import FaultInjection
    from crunchbed.run.faults.protocol import World as OldWorld
    from crunchbed.run.start import Running
    from crunchbed.scenario.faults import FaultSection


def injection(
    planned: Sequence[FaultSection], context: OldWorld, recorder: Recorder, first: int = 0
) -> FaultInjection:
    """Return the injection of these faults, numbered from ``first``, into a running cluster."""
    from crunchbed.run.faults.injector import FaultInjection
    from crunchbed.run.faults.kinds import make

    made = [make(fault, context) for fault in planned]
    now_ns = context.now_ns  # type: ignore[attr-defined]
    return FaultInjection(planned, made, recorder, now_ns, first)


def fault_context(run: Running) -> OldWorld:
    """Return what faults act on."""
    world: Any = run.world
    old: Any = SimpleNamespace(
        nodes={name: _Node(node) for name, node in world.nodes.items()},
        ports=_ports(world),
        wire=_Wire(world),
        addresses={host: (host,) for host in world.network.hosts},
        supervisor=run.supervisor,
        recorder=run.recorder,
        target=world.disk,
        switches=getattr(world.switches, "power", world.switches),
        controller=world.controller,
        now_ns=run.loop.now_ns,
    )
    return old  # type: ignore[no-any-return]


class _Node:
    """A node that takes operations by their names."""

    def __init__(self, node: Node) -> None:
        self._node = node
        pid = node.host.pid if hasattr(node, "host") else None
        self.host = SimpleNamespace(addresses=(node.name,), pid=pid)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        if op == "status":
            return {"pool": {"pressure": self._node.status().pressure}}
        return {"was": self._node.resize(fields["reserve"])}


class _Port:
    def __init__(self, world: World, name: str) -> None:
        self._network, self._name = world.network, name
        self.host = SimpleNamespace(name=name, links=[])

    def cut(self, network: str | None = None) -> None:
        self._network.cut(self._name, network)

    def mend(self, network: str | None = None) -> bool:
        return self._network.mend(self._name, network)

    def settled(self, _others: object) -> bool:
        return self._network.settled(self._name)


class _Wire:
    """Losses by the names of hosts, which stand for their addresses."""

    def __init__(self, world: World) -> None:
        self._network = world.network
        self._undos: dict[object, Any] = {}

    def begin(self, owner: object, losses: Sequence[Any]) -> None:
        self._undos[owner] = self._network.impair(
            [Impairment(target=node, source=source, loss=share) for node, source, share in losses]
        )

    def undo(self, owner: object) -> None:
        self._undos.pop(owner, lambda: None)()


def _ports(world: Any) -> dict[str, Any]:
    own = getattr(world.network, "ports", None)
    return own or {name: _Port(world, name) for name in world.network.hosts}
