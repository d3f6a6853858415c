"""The network of a running cluster, as faults may touch it: ports, losses and delays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from crunchbed.backends.namespaces.ports import SwitchPort
from crunchbed.run.world import Impairment, Undo
from reserve_agent.errors import CrunchbedError
from topologies.node import ClusterNode
from topologies.wiring import delay_port, undelay_port


class Loss(NamedTuple):
    """``node`` loses this share of the packets from address ``source``; None: from any."""

    node: str
    source: str | None
    share: float


Tell = Callable[[str, list[list[object]]], None]
"""Tells a node's hooks their losses: (node, rows of [source, share])."""


class LossyWire:
    """All losses that are on, so that those which overlap add up and are undone one by one."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._on: dict[object, tuple[Loss, ...]] = {}

    def begin(self, owner: object, losses: Iterable[Loss]) -> None:
        """Add the losses of one owner; every node is told once."""
        self._on[owner] = tuple(losses)
        self._update(self._on[owner])

    def undo(self, owner: object) -> None:
        """Take the losses of an owner away; harmless where there are none."""
        self._update(self._on.pop(owner, ()))

    def _update(self, changed: Iterable[Loss]) -> None:
        for node in sorted({loss.node for loss in changed}):
            self._tell(node, [[source, share] for source, share in self._rows(node).items()])

    def _rows(self, node: str) -> Mapping[str | None, float]:
        """Name each source once: independent losses leave (1 - a)(1 - b) of the packets."""
        rows: dict[str | None, float] = {}
        for losses in self._on.values():
            for _, source, share in (loss for loss in losses if loss.node == node):
                rows[source] = 1 - (1 - rows.get(source, 0.0)) * (1 - share)
        return rows


class LiveNetwork:
    """Implements ``crunchbed.run.world.Network``.

    Args:
        hosts: Every host of the network by name, the storage host among them.
        tell: Tells a node's hooks what they lose.

    Attributes:
        ports: The switch ports of every host.
    """

    def __init__(self, hosts: Mapping[str, ClusterNode], tell: Tell) -> None:
        self.ports = {name: SwitchPort(host) for name, host in hosts.items()}
        self._wire = LossyWire(tell)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The nodes and the storage host."""
        return tuple(self.ports)

    def networks(self, host: str) -> tuple[str, ...]:
        """Return the networks that a host has a link to."""
        return tuple(link.network for link in self.ports[host].host.links)

    def cut(self, host: str, network: str | None = None) -> None:
        """Take the switch port of a host to one network down, or all its ports."""
        self.ports[host].cut(network)

    def mend(self, host: str, network: str | None = None) -> bool:
        """Take one ``cut`` back; returns whether it was the last one of these ports."""
        return self.ports[host].mend(network)

    def settled(self, host: str) -> bool:
        """Return whether packets pass all links of a host that are up."""
        others = [port.host for name, port in self.ports.items() if name != host]
        return self.ports[host].settled(others)

    def impair(self, impairments: Iterable[Impairment]) -> Undo:
        """Lose packets at the nodes' hooks, and hold packets back at the switch ports.

        Every node is told once of all its losses. What was begun is undone where the rest fails.

        Raises:
            CrunchbedError: A delay of the packets of one source, which netem does not tell apart.
        """
        wanted = list(impairments)
        losses = [loss for one in wanted for loss in self._losses(one)]
        ports = [port for one in wanted if one.delay_ns for port in self._delayed(one)]
        undos: list[Callable[[], object]] = []
        owner = object()

        def undo() -> None:
            while undos:
                undos.pop()()

        try:
            if losses:
                undos.append(partial(self._wire.undo, owner))
                self._wire.begin(owner, losses)
            for port, delay_ns in ports:
                delay_port(port, delay_ns)
                undos.append(partial(undelay_port, port))
        except BaseException:
            undo()
            raise
        return undo

    def _losses(self, one: Impairment) -> Sequence[Loss]:
        if not one.loss:
            return ()
        sources = (None,) if one.source is None else self.ports[one.source].host.addresses
        return [Loss(one.target, source, one.loss) for source in sources]

    def _delayed(self, one: Impairment) -> Sequence[tuple[str, int]]:
        if one.source is not None:
            raise CrunchbedError(f"cannot delay the packets of {one.source} alone")
        return [(port, one.delay_ns) for port in self.ports[one.target].names]
