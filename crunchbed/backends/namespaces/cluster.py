"""A running cluster, started in order and undone in reverse."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from crunchbed.backends.namespaces import configs, daemons, login
from crunchbed.backends.namespaces.capture import capture
from crunchbed.backends.namespaces.controller import LiveController
from crunchbed.backends.namespaces.daemons import Places
from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.backends.namespaces.make_network import make_network
from crunchbed.backends.namespaces.ports import SwitchPort
from crunchbed.backends.namespaces.targets import Targets
from crunchbed.history.recorder import Recorder
from crunchbed.host.run_ids import RunClaim
from crunchbed.run.faults.lossy_links import LossyWire
from crunchbed.run.faults.protocol import World
from crunchbed.run.progress import Progress
from crunchbed.run.supervisor import Supervisor
from crunchbed.scenario.schema import Scenario
from nodes.block import target
from nodes.cgroup import NodeCgroup
from nodes.fencing import FenceServer
from nodes.process import Process, spawn
from nodes.waiting import wait_until
from reserve_agent.netns import network_namespace_of
from topologies.node import ClusterNode


class RunningCluster:
    """Context manager over everything that a run starts.

    Attributes:
        nodes: The cluster nodes by name.
        supervisor: The loop that keeps them going.
        storage: The storage host.
        switch: Kind of switch in use.
    """

    def __init__(
        self,
        scenario: Scenario,
        state: RunClaim,
        places: Places,
        recorder: Recorder,
        progress: Progress,
    ) -> None:
        self._scenario = scenario
        self._state = state
        self._places = places
        self._recorder = recorder
        self._progress = progress
        self._undo = ExitStack()
        self.targets = Targets(places.run_id, scenario)
        self.nodes: dict[str, LiveNode] = {}
        self._target: Process | None = None
        self._senders: list[Process] = []
        self.controller = LiveController.of(scenario, places, state.add_process, self.targets)

    def __enter__(self) -> RunningCluster:
        try:
            self._start()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    def at_end(self, undo: Callable[[], object]) -> None:
        """Have this done when the cluster ends, before anything else of it does."""
        self._undo.callback(undo)

    def _start(self) -> None:
        self._undo.callback(self.targets.remove)
        scenario = self._scenario
        self._start_network()
        self.storage: ClusterNode = self._network.storage
        self.storage_port = SwitchPort(self.storage)
        self.switch = str(self._network.switch)
        self._start_agents()
        self.supervisor = Supervisor(
            self.nodes,
            scenario.fencing.reboot_delay / 1e9,
            scenario.memory.on_exhaustion == "panic",
            self._recorder,
            self._progress,
            scenario.fencing.confirm,
        )
        if self.controller is not None:
            self.controller.watch(self.supervisor.others)
            self.controller.count_packets()  # what came before the nodes do not know of
        fence = self.supervisor.serve_fence(
            lambda selector: FenceServer(
                self._places.state / "fence", self.supervisor.fence, selector
            )
        )
        self._undo.callback(fence.close)
        disk = self._places.state / configs.DISK
        target.make_disk(disk, scenario.block_io.export)
        self.start_target()
        self._undo.callback(self.quiesce)  # the first to be undone: nobody waits for the target
        self._power_on()
        self._start_traffic()

    def _start_network(self) -> None:
        """Switches, links and hosts; and whoever tells the switches what to do."""
        self._agents = NodeCgroup(self._places.run_id, "agents")
        self._undo.callback(self._agents.remove)
        self._agents.create()
        controller = self.controller
        network = make_network(self._scenario, self._places.run_id, controller)
        if controller is not None:
            # First, for a switch that has tried in vain waits a second until it tries again.
            self._undo.callback(controller.stop)
            controller.start(network.description(), self._agents.path)
        self._network = self._undo.enter_context(network)
        if controller is not None:
            self._undo.callback(controller.stop)  # before its switches go, which would be news
        if self._scenario.capture:
            recorded = capture(
                network.nodes.values(), self._places.out, self._agents.path, self._state.add_process
            )
            self._undo.enter_context(recorded)

    def _power_on(self) -> None:
        """All nodes; where two of them serve, the others' initiators come once one does."""
        for node in self.nodes.values():
            node.boot()
            node.start_daemons(["heartbeat"])
            self._recorder.record("node.up", target=node.name, incarnation=0)
        if self._scenario.block_io.pair:
            self._start_service()
        for node in self.nodes.values():
            node.start_daemons(["initiator", "traffic"])

    def _start_service(self) -> None:
        """The pair's; the run tries the address that moves as an initiator would.

        Raises:
            BadInput: The target does not know the initiators' secret.
            CrunchbedError: Nobody serves.
        """
        pair = [self.nodes[name] for name in self._scenario.block_io.pair]
        for node in pair:
            node.start_daemons(["service"])
        wait_until(
            lambda: any(node.ask("status")["serving"] for node in pair),
            target.START_SECONDS,
            f"one of {' and '.join(node.name for node in pair)} serves the block device",
            pump=lambda: self.supervisor.pump(0.0),
        )
        address = configs.portal(self._scenario, self._network.nodes)
        settings = configs.target(self._scenario, self._places.state, address, pair[0].name)
        login.check(self._scenario, settings, self._at_storage, lambda: self.supervisor.pump(0.0))

    def _at_storage(self) -> AbstractContextManager[None]:
        return network_namespace_of(self.storage.pid)

    def _start_agents(self) -> None:
        """All agents at once: loading the hooks is what takes time."""
        controller = self.controller
        told = None if controller is None else controller.told_of_pressure
        started = self._state.add_process
        scenario, places, hosts = self._scenario, self._places, self._network.nodes
        for name in scenario.node_names:
            node = LiveNode(scenario, places, hosts, name, started, self.targets, told)
            self.nodes[name] = node
            self._undo.callback(node.stop)
            node.start_agent(self._agents.path)
        for node in self.nodes.values():
            node.wait_for_agent()

    def _helper(self, name: str, argv: list[str]) -> Process:
        """A process on the storage host that must live as long as the run."""
        process = spawn(
            argv,
            name=f"storage {name}",
            log=self._places.out / "logs" / f"storage-{name}.log",
            netns_pid=self.storage.pid,
            cgroup=self._storage_cgroup(),
        )
        self._state.add_process(process)
        # Asked to end, nbdkit would wait for the connection of a node that was cut off.
        self._undo.callback(process.kill)
        self.supervisor.others.append(process)
        return process

    def start_helper(self, name: str, module: str, config: dict[str, Any]) -> Process:
        """Start one of our modules on the storage host, which sends until the cluster ends."""
        path = self._places.state / f"storage-{name}.json"
        path.write_bytes(orjson.dumps(config, option=orjson.OPT_INDENT_2))
        self._senders.append(self._helper(name, daemons.argv(module, path)))
        return self._senders[-1]

    def _storage_cgroup(self) -> Path:
        group = NodeCgroup(self._places.run_id, "storage")
        if not group.path.exists():
            self._undo.callback(group.remove)
            group.create()
        return group.path

    def kill_target(self) -> None:
        """SIGKILL the block target, wherever it is; its end is no failure of the testbed."""
        for node in self.nodes.values():
            node.kill_target()
        running, self._target = self._target, None
        if running is not None:
            self.supervisor.others.remove(running)
            running.kill()

    def start_target(self, write_delay_ns: int = 0) -> None:
        """Start the storage host's target, or start it again: what was written is still there.

        A pair starts its own.

        Args:
            write_delay_ns: by how much every write takes longer.

        Raises:
            BadInput: Its port is taken, or it does not know the initiators' secret.
            CrunchbedError: It did not come up.
        """
        if self._scenario.block_io.pair:
            return

        def pump() -> None:
            self.supervisor.pump(0.0)

        settings = configs.target(
            self._scenario,
            self._places.state,
            self.storage.address("storage"),
            self.storage.name,
            write_delay_ns,
        )
        self._target = target.start(
            settings, lambda argv: self._helper("target", argv), inside=self._at_storage, pump=pump
        )
        login.check(self._scenario, settings, self._at_storage, pump)

    def _start_traffic(self) -> None:
        if self._scenario.traffic.rate:
            config = configs.traffic_source(self._scenario, self._network.nodes)
            self.start_helper("traffic", "nodes.traffic", config)

    def world(self) -> World:
        """What faults may act on."""
        hosts = self._network.nodes
        ports = {name: node.port for name, node in self.nodes.items()}
        return World(
            nodes=self.nodes,
            addresses={name: host.addresses for name, host in hosts.items()},
            ports={**ports, self.storage.name: self.storage_port},
            wire=LossyWire(lambda name, rows: self.nodes[name].lose(rows)),
            supervisor=self.supervisor,
            recorder=self._recorder,
            target=self,
            switches=self._network.power,
            controller=self.controller,
        )

    def quiesce(self) -> None:
        """End the daemons of every node and all senders: nothing is acknowledged or counted more.

        All are told before one is waited for: nobody outlives its peers long enough to miss them.
        Who serves is told last, so that nobody's write fails of this.
        """
        self.supervisor.cancel_reboots()
        while self._senders:
            sender = self._senders.pop()
            self.supervisor.others.remove(sender)
            sender.kill()
        for node in self.nodes.values():
            for name, process in node.daemons.items():
                if name != "service":
                    process.signal(signal.SIGTERM)
        for node in sorted(self.nodes.values(), key=lambda node: node.serves):
            node.end_daemons()
