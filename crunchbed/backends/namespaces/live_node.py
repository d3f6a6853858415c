"""A node of a running cluster: its daemons, its power switch, and its agent."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from crunchbed.backends.common.configs import portal
from crunchbed.backends.common.live_agent import LiveAgent, node_status
from crunchbed.backends.common.live_run import LiveRun, argv, ended_by_itself
from crunchbed.backends.common.ports import SwitchPort
from crunchbed.backends.common.settings import clean_pages
from crunchbed.backends.namespaces import configs, daemons
from crunchbed.live.runs import POWER
from crunchbed.run.world import NodeStatus
from crunchbed.scenario import sizing
from nodes.cgroup import NodeCgroup
from nodes.connections import end_connections
from nodes.ports import forget_learnt_neighbours, forget_neighbours
from nodes.process import Process, descendants, kill_if
from nodes.service.address import remove_address
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.run import EventsLost
from reserve_agent.errors import CrunchbedError, RunInvalid
from reserve_agent.files import write_bytes, write_json
from reserve_agent.lines.client import LineClient
from reserve_agent.netns import network_namespace_of
from topologies.node import ClusterNode


class LiveNode:
    """Implements ``crunchbed.run.world.Node``, and ``KillsAgent``.

    ``up`` is what the power switch says: the run knows, the cluster guesses. ``hosts`` has every
    host of the network by name.
    """

    def __init__(self, run: LiveRun, hosts: Mapping[str, ClusterNode], port: SwitchPort) -> None:
        self.host = port.host
        self.name = self.host.name
        self.up = False
        self.incarnation = 0
        self.cgroup = NodeCgroup(run.run_id, self.name)
        self.daemons: dict[str, Process] = {}
        self.agent = LiveAgent(self.name, run, "agent")
        self._run = run
        self._scenario = run.scenario
        self._hosts = hosts
        self._port = port
        self._paused: dict[str, Process] = {}

    def _path(self, name: str) -> Path:
        return self._run.of(self.name, name)

    @property
    def serves(self) -> bool:
        """Whether the node is one of the pair, and so writes nothing."""
        return self.name in self._scenario.block_io.pair

    @property
    def daemon_names(self) -> tuple[str, ...]:
        """The daemons of a node that is up, in the order of their start."""
        return ("heartbeat", "service" if self.serves else "initiator", "traffic")

    def start_agent(self, cgroup: Path, controller: Path | None) -> None:
        """Start the agent, which is no part of its node; it tells the controller of pressure."""
        self.cgroup.create()
        config = configs.agent(self._run, self.host, self.cgroup.path, controller)
        self.agent.begin(config, cgroup)

    def kill_agent(self) -> bool:
        """SIGKILL the agent; the node goes on. Returns whether there was an agent."""
        return self.agent.kill()

    def restart_agent(self) -> None:
        """Start an agent that goes on where the last was killed; harmless while there is one."""
        self.agent.restart()

    def status(self) -> NodeStatus:
        """Ask the agent how the node is, which takes about a millisecond."""
        return node_status(self.agent.ask("status"), up=self.up)

    def note(self, event: Event) -> None:
        """Have the agent record what the run knows of the node."""
        self.agent.ask("event", event=event.record())

    def begin_windows(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """Hand the windows to the hooks."""
        self.agent.ask("windows", windows=[list(window) for window in windows])

    def wake(self) -> None:
        """Have readers that did not read do so."""
        self.agent.ask("wake")

    def resize(self, reserve: int) -> int:
        """Give the node a reserve of so many pages; returns how many the reserve had."""
        return int(self.agent.ask("resize", reserve=reserve)["was"])

    def set_policy(self, policy: str) -> None:
        """Have the hooks follow another policy."""
        self.agent.ask("policy", policy=policy)

    def lose(self, rows: list[list[object]]) -> None:
        """Have the hooks lose packets as if on the wire: rows of [source address or None, share].

        Replaces what was said before; the source None means any.
        """
        self.agent.ask("losses", losses=rows)

    def count_reserve_users(self) -> None:
        """Have the agent write down which sockets the reserve went to."""
        self.agent.ask("sockets")

    def count_packets(self) -> None:
        """Have the agent write its packet counters down."""
        self.agent.ask("packets")

    def power_on(self) -> None:
        """Switch ports up, daemons started; they report when they are ready."""
        self.boot()
        self.start_daemons(self.daemon_names)

    def boot(self) -> None:
        """Switch ports up; no daemon yet."""
        self._port.power(True)
        for socket in sizing.throttled(self._scenario):
            self.agent.ask("attach", socket=asdict(socket))
        write_bytes(self._path(POWER), str(self.incarnation).encode())
        self.up = True

    def start_daemons(self, names: Iterable[str]) -> None:
        """Start these daemons, where the node has them."""
        for name in names:
            if name in self.daemon_names:
                self._start_daemon(name)

    def _start_daemon(self, name: str) -> None:
        path = self._path(f"{name}.json")
        config = daemons.config(self._run, self._hosts, self.name, self.incarnation, name)
        write_json(path, config)
        corosync = name == "heartbeat" and self._scenario.membership == "corosync"
        self.daemons[name] = self._run.spawn(
            f"{self.name} {name}",
            argv("nodes", "corosync" if corosync else name, path),
            netns_pid=self.host.pid,
            cgroup=self.cgroup.path,
            realtime=name == "heartbeat",
        )

    def power_off(self) -> None:
        """Cut the node off for certain: its ports first, then everything that runs on it.

        Where its agent is away, what the daemons have kept for the next one ends with them, and
        the history says so.
        """
        self._path(POWER).unlink(missing_ok=True)
        self._port.power(False)
        unheard = len(self.daemons) if self.agent.process is None else 0
        self.count_reserve_users()
        if unheard:  # one event of each at least
            self.note(EventsLost(count=unheard))
        for process in self.daemons.values():
            process.kill()
        self.daemons.clear()
        # What they have started ends with them, but a moment later: that is not certain enough.
        self.cgroup.kill()
        with network_namespace_of(self.host.pid):
            if self.serves:
                interface = self.host.link("storage").interface
                remove_address(interface, portal(self._scenario, self._hosts))
            # The namespace stays, and with it what only a kernel that has gone on would know.
            end_connections()
            forget_learnt_neighbours()
        for name in ("initiator", "service"):
            self._path(name).unlink(missing_ok=True)
        self.up = False
        self.incarnation += 1
        self.agent.ask("reset", clean=clean_pages(self._scenario))

    def begin_burst(self, pages: int, rate: int, start_ns: int) -> None:
        """Tell the node's writeback daemon, which asks the pool for the pages."""
        self._tell_initiator("burst", pages=pages, rate=rate, start_ns=start_ns)

    def calm(self) -> None:
        """Tell the node's writeback daemon that its tasks give up."""
        self._tell_initiator("calm")

    def _tell_initiator(self, op: str, **fields: int) -> None:
        """Tell the initiator; one that has died is named, with its last words."""
        try:
            with closing(LineClient(self._path("initiator"))) as client:
                client.ask(op=op, **fields)
        except CrunchbedError as error:
            self.check()
            raise RunInvalid(f"{self.name} does not take {op}: {error}") from error

    def pause(self, daemons: Collection[str]) -> None:
        """Stop daemons with SIGSTOP, and what they have started."""
        for name in daemons:
            if name in self.daemons:
                self._paused[name] = self.daemons[name]
                self._paused[name].signal_family(signal.SIGSTOP)

    def resume(self, daemons: Collection[str]) -> None:
        """Let the paused daemons that are still there go on, with SIGCONT."""
        for name in daemons:
            if name in self._paused:
                self._paused.pop(name).signal_family(signal.SIGCONT)

    def forget_neighbours(self) -> int:
        """Forget all hardware addresses: what is sent next has to ask first. Returns how many."""
        with network_namespace_of(self.host.pid):
            return forget_neighbours()

    def kill_target(self) -> None:
        """SIGKILL the target that it serves with, if it does; its service daemon goes on."""
        service = self.daemons.get("service")
        for pid in descendants(service.pid) if service is not None else ():
            kill_if(pid, lambda pid: pid in self.cgroup.pids())

    def watchdog_due(self) -> bool:
        """Whether it lost its service daemon to a signal: a watchdog takes such a node down."""
        service = self.daemons.get("service")
        return service is not None and (service.poll() or 0) < 0

    def check(self) -> None:
        """Look whether the daemons and the agent live; quotes the one that does not."""
        for process in (*self.daemons.values(), self.agent.process):
            if process is not None and process.poll() is not None:
                raise ended_by_itself(process)

    def end_daemons(self) -> None:
        """End the node's daemons in order; its agent goes on."""
        for process in self.daemons.values():
            process.terminate(2.0)
        self.daemons.clear()

    def stop(self) -> None:
        """End the daemons and the agent, and remove the cgroup."""
        self._path(POWER).unlink(missing_ok=True)
        self.end_daemons()
        self.agent.stop()
        if os.path.lexists(self.cgroup.path):
            self.cgroup.remove()
