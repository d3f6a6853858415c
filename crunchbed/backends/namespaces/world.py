"""A running cluster of network namespaces."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence

from crunchbed.backends.common.live_run import LiveRun
from crunchbed.backends.common.world import LiveWorld, network_of
from crunchbed.backends.namespaces import configs
from crunchbed.backends.namespaces.controller import LiveController
from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.history.recorder import Recorder
from crunchbed.run.loop import SelectorLoop
from nodes.block import target
from reserve_agent.errors import CrunchbedError
from topologies.tap import know_neighbours


class NamespacesWorld(LiveWorld):
    """A ``LiveWorld`` of namespaces with their agents and daemons, and of a controller."""

    nodes: Mapping[str, LiveNode]
    controller: LiveController | None

    def __init__(self, run: LiveRun, recorder: Recorder, loop: SelectorLoop) -> None:
        super().__init__(run, recorder, loop)
        openflow = run.scenario.cluster.controller != "none"
        self.controller = LiveController(self._run) if openflow else None

    def _start(self) -> None:
        """Start the network, the controller that its switches obey, and the agents."""
        controller = self.controller
        if controller is None:
            self._start_network(network_of(self._run))
            self._start_agents()
            return
        network = network_of(self._run, controller.listen, controller.wait_until_ready)
        # First, for a switch that has tried in vain waits a second until it tries again.
        self._undo.callback(controller.stop)
        controller.start(network.description(), self._agents.path)
        self._start_network(network)
        self._undo.callback(controller.stop)  # before its switches go, which would be news
        self._start_agents()
        controller.watch(self._watched)
        controller.count_packets()  # what came before the nodes do not know of

    def _start_agents(self) -> None:
        """Start all agents at once: loading the hooks is what takes time."""
        if self._scenario.nic is not None:
            self._introduce_hosts()
        told = None if self.controller is None else self.controller.told_of_pressure
        self.nodes = {
            name: LiveNode(self._run, self._network.nodes, self.network.ports[name])
            for name in self._scenario.node_names
        }
        for node in self.nodes.values():
            self._undo.callback(node.stop)
            node.start_agent(self._agents.path, told)
        for node in self.nodes.values():
            node.agent.wait()

    def _introduce_hosts(self) -> None:
        """Have hosts know each other's addresses, as machines do: no crunch is about ARP."""
        hosts = self._network.nodes
        for name, host in hosts.items():
            for link in host.links:
                know_neighbours(host, link, configs.neighbours(hosts, name, link.network))

    def _servers(self) -> Sequence[LiveNode]:
        return [self.nodes[name] for name in self._scenario.block_io.pair]

    def _lose(self, node: str, rows: list[list[object]]) -> None:
        self.nodes[node].lose(rows)

    def _power_on(self) -> None:
        """Boot all nodes; where two of them serve, the others' initiators come once one does."""
        for node in self.nodes.values():
            node.boot()
            node.start_daemons(["heartbeat"])
            self._record_up(node)
        if self._scenario.block_io.pair:
            self._start_service()
        for node in self.nodes.values():
            node.start_daemons(["initiator", "traffic"])

    def _start_service(self) -> None:
        """Start the pair's services, and try the address that moves as an initiator would."""
        pair = self._servers()
        for node in pair:
            node.start_daemons(["service"])
        names = " and ".join(node.name for node in pair)
        if not self._loop.run_until(
            lambda: any(node.status().serving for node in pair), target.START_SECONDS
        ):
            raise CrunchbedError(
                f"waited {target.START_SECONDS:g} s in vain: one of {names} serves the block device"
            )
        self.disk.check_pair_login(pair[0].name)

    def _end_nodes(self) -> None:
        """Tell all daemons before one is waited for: none is to miss a peer that ended first.

        The daemon that serves is told last, so that no write fails at the end.
        """
        for node in self.nodes.values():
            for name, process in node.daemons.items():
                if name != "service":
                    process.signal(signal.SIGTERM)
        for node in sorted(self.nodes.values(), key=lambda node: node.serves):
            node.end_daemons()

    def count_packets(self) -> None:
        """Have the controller write the packet counters of the switches into the history."""
        if self.controller is not None:
            self.controller.count_packets()
