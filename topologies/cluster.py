"""A run's network, from start to stop: nodes, storage host and switches."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from nodes.ports import delete_links
from nodes.waiting import wait_until
from reserve_agent.contract.topologies import Topology
from reserve_agent.controller.wiring import Network
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement
from topologies import links, ovs
from topologies.describe import STORAGE, describe, logical_name, plan
from topologies.node import ClusterNode, NodeLink
from topologies.ovs_buffer import raise_receive_buffers, raise_send_buffer
from topologies.paths import join_paths
from topologies.power import SwitchPower
from topologies.reach import unreachable_from
from topologies.switches import SwitchChoice, SwitchKind, choose_switch
from topologies.wiring import (
    SHARED_QUEUE_BYTES,
    SWITCH_QUEUE_BYTES,
    bring_up,
    impair,
    make_room_for_neighbours,
    shape_ports,
    shape_with_deferral,
    wire_nodes,
)

MAX_NODES = 128
_REACH_TIMEOUT_SECONDS = 10.0
_NAMESPACE_END_SECONDS = 1.0
# 0.1 s of a port at 200 Mb/s: 2.5 MB of frames, for which a buffer takes half as much again.
_OVS_RECEIVE_BYTES = 4 * 1024 * 1024
# Room for ten full queues, with the same overhead.
_OVS_BUFFER_BYTES = 32 * 1024 * 1024


class Cluster:
    """Context manager over Mininet: on entry a working network, on exit no trace of it.

    Every name starts with the run id, so that several clusters can exist at the same time. They
    may use the same addresses, since the root namespace gets none of them.

    Args:
        run_id: four characters, see ``crunchbed.host.run_ids``.
        nodes: cluster nodes, 1 to 128; the storage host comes on top.
        port_rate_mbit: what a node's port carries in each direction, 10**6 bits a second.
        storage_rate_mbit: the same for the storage host's port, which all nodes share.
        switch: kind of the switches; ``auto`` takes what the machine has, see ``choose_switch``.
        controller: IPv4 address and port of an OpenFlow controller, without which the switches
            forward nothing; with None the switches learn addresses by themselves.
        storage_nodes: cluster nodes whose ports have the storage host's rate too.
        topology: see ``topologies.layout``.
        leaves: switches with hosts in a leaf-spine network.
        delay_ns: how long every packet to a host waits at its switch port.
        loss: share of these packets that are lost, 0 to 1.
        on_switches: called before anything is sent; returns when the controller has set the
            switches up.
        deferred_kbit: rate for the packets that the controller marks as deferred, at each node's
            port, 1000 bits a second; None where the controller marks none.
    """

    def __init__(
        self,
        run_id: str,
        nodes: int = 3,
        port_rate_mbit: float = 200,
        storage_rate_mbit: float = 200,
        switch: SwitchChoice = "auto",
        controller: tuple[str, int] | None = None,
        storage_nodes: Collection[str] = (),
        topology: Topology = "star",
        leaves: int = 2,
        delay_ns: int = 0,
        loss: float = 0.0,
        on_switches: Callable[[], None] | None = None,
        deferred_kbit: int | None = None,
    ) -> None:
        if not 1 <= nodes <= MAX_NODES:
            raise BadInput(f"nodes: {nodes} is not within 1 to {MAX_NODES}")
        for rate in (port_rate_mbit, storage_rate_mbit):
            if rate <= 0:
                raise BadInput(f"port rate: {rate} Mbit is not above 0")
        self.run_id = run_id
        self.nodes: dict[str, ClusterNode] = {}
        self.switch: SwitchKind | None = None
        self.layout = plan(topology, nodes, leaves, run_id)
        self._rate = port_rate_mbit
        self._storage_rate = storage_rate_mbit
        self._storage_names = {STORAGE, *storage_nodes}
        self._choice: SwitchChoice = switch
        self._controller = controller
        self._deferred_kbit = deferred_kbit
        self._delay_ns = delay_ns
        self._loss = loss
        self._on_switches = on_switches
        self._net: Any = None
        self._power: SwitchPower | None = None

    @property
    def storage(self) -> ClusterNode:
        """The storage host."""
        return self.nodes[STORAGE]

    @property
    def switch_names(self) -> list[str]:
        """Names of the switches, which are the names of their bridges too."""
        return [switch.name for switch in self.layout.switches]

    def description(self) -> Network:
        """The network in the form that an OpenFlow controller takes."""
        return describe(self.layout, self.run_id)

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Build, wire and verify the network; after any failure nothing is left of it.

        Raises:
            BadInput: a controller or a topology that this kind of switch cannot have.
            MissingRequirement: no root, no Mininet, or no such switch here.
            CrunchbedError: a port is not on its switch, or a node does not reach the storage host.
        """
        if os.geteuid() != 0:
            raise MissingRequirement("a cluster needs root: network namespaces are made for it")
        self.switch = choose_switch(self._choice)
        if self._controller is not None and self.switch == "linux-bridge":
            raise BadInput("controller: a Linux bridge takes none")
        if self.layout.has_loops and self.switch == "linux-bridge":
            raise BadInput("topology: a Linux bridge would send frames round its loops for ever")
        try:
            from topologies import parts
        except ImportError as error:
            raise MissingRequirement("Mininet is not installed: apt-get install mininet") from error
        try:
            self._net = parts.make_net(self.layout, self.run_id, self.switch, self._controller)
            parts.start_net(self._net)
            self._adopt_hosts()
            self._wire()
            self._verify()
            self._shape(self._rates())
        except BaseException:
            with contextlib.suppress(CrunchbedError):
                self.stop()
            raise

    def _adopt_hosts(self) -> None:
        for host in self.layout.hosts:
            name = logical_name(host.name, self.run_id)
            ends = tuple(
                NodeLink(
                    link.interface,
                    link.port.interface,
                    link.ip,
                    link.network,
                    link.port.switch,
                    link.mac,
                )
                for link in host.links
            )
            pid = self._net[host.name].pid
            self.nodes[name] = ClusterNode(name, host.name, pid, ends, host.host_address)

    def _wire(self) -> None:
        make_room_for_neighbours(len(self.nodes))
        wire_nodes((node, self._rate_of(node)) for node in self.nodes.values())
        bring_up(self._rates())
        routed = [node for node in self.nodes.values() if node.host_address is not None]
        for node in routed:
            join_paths(node, (other for other in routed if other is not node))

    def _verify(self) -> None:
        source = links if self.switch == "linux-bridge" else ovs
        attached: set[str] = set()
        for name in self.switch_names:
            attached |= source.attached_ports(name)
        if missing := sorted(set(self._rates()) - attached):
            raise CrunchbedError(f"not on their switch: {', '.join(missing)}")
        if self._on_switches is not None:
            self._on_switches()
        pids = {node.name: node.pid for node in self.nodes.values() if node.name != STORAGE}
        first = next(iter(self.nodes.values()))
        for address in dict.fromkeys((*self.storage.addresses, *first.addresses)):
            if silent := unreachable_from(pids, address, _REACH_TIMEOUT_SECONDS):
                raise CrunchbedError(f"no ping to {address} from {', '.join(silent)}")

    @property
    def power(self) -> SwitchPower:
        """Turns the switches off and on; only for a cluster that is up."""
        if self._power is None:
            bridged = self.switch == "linux-bridge"
            made_by = {} if bridged else {one.name: one.made_by for one in self._net.switches}
            self._power = SwitchPower(self.layout, self.run_id, bridged, made_by, self._attached)
        return self._power

    def _attached(self, ports: Iterable[str]) -> None:
        rates = self._rates()
        self._shape({port: rates[port] for port in ports})

    def _shape(self, rates: Mapping[str, float]) -> None:
        """Shape these switch ports, to rates in Mbit/s.

        This comes after the pings, since Open vSwitch has no send buffer before its first frame.
        """
        queue = SWITCH_QUEUE_BYTES
        if self.switch == "ovs-user":
            raise_receive_buffers(rates, _OVS_RECEIVE_BYTES)
            if not raise_send_buffer(_OVS_BUFFER_BYTES):
                queue = SHARED_QUEUE_BYTES
        ports = {port for node in self.nodes.values() for port in node.switch_ports}
        if self._deferred_kbit is None:
            shape_ports(rates, queue)
        else:
            shape_with_deferral(
                {port: rate for port, rate in rates.items() if port in ports},
                queue,
                self._deferred_kbit,
            )
            shape_ports({port: rate for port, rate in rates.items() if port not in ports}, queue)
        if self._delay_ns or self._loss:
            impair(sorted(ports & rates.keys()), self._delay_ns, self._loss)

    def _rates(self) -> dict[str, float]:
        """Rate of every switch port, in Mbit/s; links between switches have the storage host's."""
        rates = {
            port: self._rate_of(node) for node in self.nodes.values() for port in node.switch_ports
        }
        for trunk in self.layout.trunks:
            for end in (trunk.one, trunk.other):
                rates[end.interface] = self._storage_rate
        return rates

    def _rate_of(self, node: ClusterNode) -> float:
        return self._storage_rate if node.name in self._storage_names else self._rate

    def stop(self) -> None:
        """Remove the network, or raise CrunchbedError; does nothing where there is none.

        Before that the caller ends its processes in the nodes: a namespace exists as long as it
        has a process.
        """
        if self._net is None:
            return
        from topologies.parts import end_hosts

        net, self._net = self._net, None
        with contextlib.ExitStack() as undo:
            undo.callback(self.nodes.clear)
            undo.callback(self._remove_links)
            undo.callback(self._remove_switches)
            end_hosts(net.hosts)

    def _remove_switches(self) -> None:
        if self.switch == "linux-bridge":
            delete_links(self.switch_names)
        else:
            ovs.delete_bridges(self.switch_names)

    def _remove_links(self) -> None:
        """Delete the links that do not end with their node's namespace.

        A namespace that ends removes its links all at once, which is faster than one by one. A
        namespace that is still held, by a process or an open socket, keeps its links. Links between
        switches are in the root namespace, so they are deleted first instead of waited for.
        """
        delete_links([trunk.one.interface for trunk in self.layout.trunks])
        port = re.compile(rf"{self.run_id}s\d+-eth\d+")

        def left() -> list[str]:
            return [name for _, name in socket.if_nameindex() if port.fullmatch(name)]

        with contextlib.suppress(CrunchbedError):
            wait_until(lambda: not left(), _NAMESPACE_END_SECONDS, "the links' end")
        delete_links(left())
