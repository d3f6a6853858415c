"""The storage host of a running cluster: its block target, and what sends from it."""

from __future__ import annotations

import selectors
import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Any, Protocol

from crunchbed.backends.common import configs
from crunchbed.backends.common.live_run import LiveRun, argv
from crunchbed.live.runs import POWER
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.world import STORAGE, Flood
from nodes.block import target
from nodes.block.config import IscsiConfig
from nodes.block.iscsi_transport import IscsiTransport
from nodes.block.target import TargetSettings
from nodes.block.transport import Endpoint, LoginRefused, Reports
from nodes.cgroup import NodeCgroup
from nodes.process import Process
from reserve_agent.config_files import build
from reserve_agent.errors import BadInput
from reserve_agent.files import write_bytes, write_json
from reserve_agent.netns import network_namespace_of
from topologies.node import ClusterNode

_LOGIN_STEP_SECONDS = 0.02


class ServesDisk(Protocol):
    """A node that serves the block device in place of the storage host."""

    def kill_target(self) -> None:
        """SIGKILL the node's block target, if there is one."""


class StorageHost:
    """Implements ``crunchbed.run.world.MovesDisk``, and sends traffic and floods.

    Args:
        run: The run.
        hosts: Every host of the network by name.
        servers: The nodes that serve the block device instead, if any.
        loop: The run's.
        watched: The processes that must live as long as the run.
        undo: Takes what is to be undone at the end of the cluster.
    """

    def __init__(
        self,
        run: LiveRun,
        hosts: Mapping[str, ClusterNode],
        servers: Sequence[ServesDisk],
        loop: SelectorLoop,
        watched: list[Process],
        undo: ExitStack,
    ) -> None:
        self.host = hosts[STORAGE]
        self.cgroup = NodeCgroup(run.run_id, STORAGE)
        self._run = run
        self._scenario = run.scenario
        self._hosts = hosts
        self._servers = servers
        self._loop = loop
        self._watched = watched
        self._undo = undo
        self._target: Process | None = None
        self._senders: list[Process] = []

    def _pump(self) -> None:
        """Let the run go on for a moment."""
        self._loop.step(0.0)

    def _inside(self) -> AbstractContextManager[None]:
        return network_namespace_of(self.host.pid)

    def _helper(self, name: str, command: list[str]) -> Process:
        """Start a process on the storage host that must live as long as the run."""
        process = self._run.spawn(
            f"{STORAGE} {name}", command, netns_pid=self.host.pid, cgroup=self._made_cgroup()
        )
        # Asked to end, nbdkit would wait for the connection of a node that was cut off.
        self._undo.callback(process.kill)
        self._watched.append(process)
        return process

    def _made_cgroup(self) -> Path:
        if not self.cgroup.path.exists():
            self._undo.callback(self.cgroup.remove)
            self.cgroup.create()
            power = self._run.of(STORAGE, POWER)
            self._undo.callback(
                power.unlink, missing_ok=True
            )  # before those in the cgroup are killed
            write_bytes(power, b"0")
        return self.cgroup.path

    def kill_target(self) -> None:
        """SIGKILL the block target, wherever it is; its end is no failure of the testbed."""
        for node in self._servers:
            node.kill_target()
        running, self._target = self._target, None
        if running is not None:
            self._watched.remove(running)
            running.kill()

    def start_target(self, write_delay_ns: int = 0) -> None:
        """Start the storage host's target, or start it again: what was written is still there.

        A pair starts its own.

        Raises:
            BadInput: Its port is taken, or it does not know the initiators' secret.
            CrunchbedError: It did not come up.
        """
        if not self._scenario.block_io.pair:
            self._serve(write_delay_ns)

    def _serve(self, write_delay_ns: int) -> None:
        """Start the target, and return when initiators can log in; see ``start_target``."""
        address = self.host.address("storage")
        settings = configs.target(self._scenario, self._run.state, address, STORAGE, write_delay_ns)
        self._target = target.start(
            settings,
            lambda command: self._helper("target", command),
            inside=self._inside,
            pump=self._pump,
        )
        self._check_login(settings)

    def _check_login(self, target: TargetSettings) -> None:
        """Log in to an iSCSI target that was started, as a node would, and hang up.

        Raises:
            BadInput: The secrets differ.
            CrunchbedError: It takes no login within the login time-out.
        """
        if target.transport != "iscsi":
            return  # a target of NBD has no login
        config = build(configs.iscsi_session(self._scenario), IscsiConfig)
        endpoint, index = Endpoint(target.address, target.port), len(self._scenario.node_names)
        reports = Reports(lambda _: None, lambda _, __: None)
        with closing(selectors.DefaultSelector()) as selector:
            with self._inside():
                transport = IscsiTransport(endpoint, "run", index, config, selector, reports)
            with closing(transport):
                try:
                    while not transport.ready:
                        transport.serve(_LOGIN_STEP_SECONDS)
                        self._pump()
                except LoginRefused as error:
                    raise BadInput(
                        "block_io.iscsi.chap: expected the same secret for target and initiators, "
                        f"got a login that is refused ({error})"
                    ) from error

    def pause_target(self) -> None:
        """Stop the target with SIGSTOP."""
        if self._target is not None:
            self._target.signal_family(signal.SIGSTOP)

    def resume_target(self) -> None:
        """Let the target go on, with SIGCONT."""
        if self._target is not None:
            self._target.signal_family(signal.SIGCONT)

    def check_pair_login(self, server: str) -> None:
        """Log in at the address that moves as an initiator would; raises as ``start_target``."""
        address = configs.portal(self._scenario, self._hosts)
        settings = configs.target(self._scenario, self._run.state, address, server)
        self._check_login(settings)

    def start_traffic(self) -> None:
        """Start the sender of the background traffic, where the scenario has some."""
        if self._scenario.traffic.rate:
            self._start_sender("traffic", configs.traffic_source(self._scenario, self._hosts))

    def flood(self, name: str, flood: Flood, start_ns: int) -> None:
        """Start the sender of a flood to a node, which waits for its time."""
        address = self._hosts[name].address("storage")
        self._start_sender("flood", configs.flood_source(flood, address, start_ns))

    def _start_sender(self, name: str, config: dict[str, Any]) -> None:
        """Start a sender of packets, which sends until the cluster ends."""
        path = self._run.state / f"{STORAGE}-{name}.json"
        write_json(path, config)
        self._senders.append(self._helper(name, argv("nodes", "traffic", path)))

    def end_senders(self) -> None:
        """End all senders; the target goes on."""
        while self._senders:
            sender = self._senders.pop()
            self._watched.remove(sender)
            sender.kill()
