"""The network of a running cluster, as faults may touch it: ports, losses and delays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import NamedTuple

from crunchbed.backends.common.ports import SwitchPort
from crunchbed.faults.holds import Held
from crunchbed.run.world import Impairment, Undo
from reserve_agent.errors import CrunchbedError
from reserve_agent.netns import network_namespace_of
from topologies.node import ClusterNode
from topologies.wiring import delay_port, undelay_port

Tell = Callable[[str, list[list[object]]], None]
"""Has a node lose packets: (node, rows of [source address or None for any, share])."""


class _Port(NamedTuple):
    """A shaped interface, of a switch or in the network namespace of a process."""

    name: str
    pid: int | None = None


class LiveNetwork:
    """Implements ``crunchbed.run.world.Network``; ``ports`` are the switch ports of every host."""

    def __init__(self, hosts: Mapping[str, ClusterNode], tell: Tell) -> None:
        self.ports = {name: SwitchPort(host) for name, host in hosts.items()}
        self._tell = tell
        self._losses: Held[tuple[str, str | None], float] = Held(self._lose, _independent)
        self._delays: Held[_Port, int] = Held(self._delay, max)
        self._delayed: set[_Port] = set()

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
        """Lose packets where they come to nodes, and hold packets back at the switch ports.

        Every node is told once of all its losses. What was begun is undone where the rest fails.

        Raises:
            CrunchbedError: A delay of the packets of one source, which netem does not tell apart.
        """
        wanted = list(impairments)
        losses = {(one.target, source): one.loss for one in wanted for source in self._sources(one)}
        delays = {port: one.delay_ns for one in wanted if one.delay_ns for port in self._ports(one)}
        owner = object()

        def undo() -> None:
            self._delays.release(owner)
            self._losses.release(owner)

        self._losses.hold(owner, losses)
        try:
            self._delays.hold(owner, delays)
        except BaseException:
            undo()
            raise
        return undo

    def _sources(self, one: Impairment) -> Sequence[str | None]:
        """Return whose packets are lost, by address; None: anybody's."""
        if not one.loss:
            return ()
        return (None,) if one.source is None else self.ports[one.source].host.addresses

    def _lose(self, changed: Mapping[tuple[str, str | None], float | None]) -> None:
        for node in sorted({node for node, _ in changed}):
            on = self._losses.all().items()
            self._tell(node, [[source, share] for (one, source), share in on if one == node])

    def _ports(self, one: Impairment) -> Sequence[_Port]:
        """Return the shaped interfaces that the packets pass."""
        if one.source is not None:
            raise CrunchbedError(f"cannot delay the packets of {one.source} alone")
        host = self.ports[one.target].host
        if one.leaving:
            return [_Port(name, host.pid) for name in host.interfaces]
        return [_Port(name) for name in host.switch_ports]

    def _delay(self, ports: Mapping[_Port, int | None]) -> None:
        for port, delay_ns in ports.items():
            with nullcontext() if port.pid is None else network_namespace_of(port.pid):
                if delay_ns is not None:
                    delay_port(port.name, delay_ns)
                    self._delayed.add(port)
                elif port in self._delayed:
                    self._delayed.remove(port)
                    undelay_port(port.name)


def _independent(shares: Sequence[float]) -> float:
    """Return the share that is lost to several: losses leave (1 - a)(1 - b) of the packets."""
    return 1 - math.prod(1 - share for share in shares)
