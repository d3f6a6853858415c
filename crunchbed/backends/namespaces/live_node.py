"""A node of a running cluster: its agent, its daemons, its power switch."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from crunchbed.backends.namespaces import configs, daemons
from crunchbed.backends.namespaces.daemons import Places
from crunchbed.backends.namespaces.ports import SwitchPort
from crunchbed.backends.namespaces.targets import Targets
from crunchbed.run import signals, sizing
from crunchbed.scenario.schema import Scenario
from nodes.cgroup import NodeCgroup
from nodes.process import Process, descendants, kill_if, spawn
from nodes.service.address import remove_address
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError, RunInvalid
from reserve_agent.lines import LineClient, Message
from reserve_agent.netns import network_namespace_of
from topologies.node import ClusterNode

_AGENT_TIMEOUT_SECONDS = 30.0
_END_SECONDS = 0.5  # from a process's sockets being closed to its exit code


def ended_by_itself(process: Process) -> RunInvalid:
    """The error to raise for a process that ended though nobody ended it."""
    words = process.last_words() or f"no word in {process.log}"
    return RunInvalid(f"{process.name} ended by itself ({process.poll()}): {words}")


class AgentAway(CrunchbedError):
    """The agent was killed on purpose, and nobody has started another yet."""


@dataclass
class LiveNode:
    """One node. ``up`` is what the power switch says; the run knows, the cluster guesses.

    Its agent may be killed as a fault (``kill_agent``): the node goes on without it, and whatever
    the run has to tell it brings a new one, as ``restart_agent`` does.
    """

    scenario: Scenario
    places: Places
    nodes: dict[str, ClusterNode]
    name: str
    started: Callable[[Process], None]
    targets: Targets
    controller: Path | None = None
    incarnation: int = 0
    up: bool = False
    daemons: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.host = self.nodes[self.name]
        self.port = SwitchPort(self.host)
        self.cgroup = NodeCgroup(self.places.run_id, self.name)
        self._agent: Process | None = None
        self._agents_cgroup: Path | None = None
        self._client: LineClient | None = None

    def _path(self, name: str) -> Path:
        return self.places.of(self.name, name)

    def _log(self, name: str) -> Path:
        return self.places.log(self.name, name)

    @property
    def serves(self) -> bool:
        """Whether it is one of the pair that serves the block device, and so writes nothing."""
        return self.name in self.scenario.block_io.pair

    @property
    def daemon_names(self) -> tuple[str, ...]:
        """The daemons of a node that is up, in the order of their start."""
        return daemons.names(self.scenario, self.name)

    @property
    def control_socket(self) -> Path:
        """Where the initiator takes commands."""
        return self._path("initiator")

    def start_agent(self, agents_cgroup: Path) -> None:
        """Start the agent; ``wait_for_agent`` says when its hooks are in place."""
        self.cgroup.create()
        config = configs.agent(
            self.scenario,
            self.places.run_id,
            self.host,
            {
                "cgroup": self.cgroup.path,
                "pins": self.places.pins / self.name,
                "socket": self._path("agent"),
                "history": self.places.out / "history" / f"{self.name}.jsonl",
            },
            self.controller,
        )
        config.write(self._path("agent.json"))
        self._agents_cgroup = agents_cgroup
        self._spawn_agent()

    def _spawn_agent(self) -> None:
        self._agent = spawn(
            [sys.executable, "-m", "reserve_agent", str(self._path("agent.json"))],
            name=f"{self.name} agent",
            log=self._log("agent"),
            netns_pid=None,
            cgroup=self._agents_cgroup,
        )
        self.started(self._agent)

    def kill_agent(self) -> bool:
        """SIGKILL the agent. Hooks, pool and daemons go on; what they report waits for the next.

        Returns whether there was one.
        """
        agent, self._agent = self._agent, None
        if agent is not None:
            agent.kill()
        self._hang_up()
        return agent is not None

    def restart_agent(self) -> None:
        """Start an agent that goes on where the last was killed; harmless while there is one.

        Returns when it answers.

        Raises:
            CrunchbedError: it does not come up.
        """
        if self._agent is None and self._agents_cgroup is not None:
            self._spawn_agent()
            self.wait_for_agent()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def wait_for_agent(self) -> None:
        """Return when the agent answers; its failure is told with its own words."""
        agent = self._agent
        if agent is None:
            raise CrunchbedError(f"{self.name}: no agent was started")

        def answers() -> bool:
            code = agent.poll()
            if code is not None:
                raise CrunchbedError(f"{agent.name} ended ({code}): {agent.last_words()}")
            with contextlib.suppress(CrunchbedError):  # no socket yet, or not listening yet
                self._client = LineClient(self._path("agent"))
            return self._client is not None

        wait_until(
            answers,
            _AGENT_TIMEOUT_SECONDS,
            f"{agent.name} is up; see {agent.log}",
            pump=signals.check,
        )
        self.targets.serve(self.name, self.ask("status")["metrics_port"])

    def ask(self, op: str, **fields: Any) -> Message:
        """Ask the agent; one that was killed is started again, unless it is but looked at.

        Raises:
            AgentAway: for ``status``, while there is no agent.
            CrunchbedError: no answer, or the agent refuses.
        """
        if self._agent is None and self._agents_cgroup is not None:
            if op == "status":
                raise AgentAway(f"{self.name}: its agent is down")
            self.restart_agent()
        agent = self._agent
        if self._client is None or agent is None:
            raise CrunchbedError(f"{self.name}: its agent is not up")
        try:
            return self._client.ask(op=op, **fields)
        except CrunchbedError:
            with contextlib.suppress(CrunchbedError):
                wait_until(lambda: agent.poll() is not None, _END_SECONDS, f"{agent.name}'s end")
            if agent.poll() is not None:
                raise ended_by_itself(agent) from None
            raise

    def power_on(self) -> None:
        """Switch ports up, daemons started; they report when they are ready."""
        self.boot()
        self.start_daemons(self.daemon_names)

    def boot(self) -> None:
        """Switch ports up; no daemon yet."""
        self.port.power(True)
        for socket in sizing.throttled(self.scenario):
            self.ask("attach", socket=asdict(socket))
        self.up = True

    def start_daemons(self, names: Iterable[str]) -> None:
        """Start these daemons, where the node has them."""
        for name in names:
            if name in self.daemon_names:
                self._start_daemon(name)

    def _start_daemon(self, name: str) -> None:
        path = self._path(f"{name}.json")
        config = daemons.config(
            self.scenario, self.places, self.nodes, self.name, self.incarnation, name
        )
        path.write_bytes(orjson.dumps(config, option=orjson.OPT_INDENT_2))
        process = spawn(
            daemons.argv(daemons.module(self.scenario, name), path),
            name=f"{self.name} {name}",
            log=self._log(name),
            netns_pid=self.host.pid,
            cgroup=self.cgroup.path,
            realtime=name == "heartbeat",
        )
        self.daemons[name] = process
        self.started(process)

    def power_off(self) -> None:
        """Cut the node off for certain: its ports first, then everything that runs on it.

        Where its agent is away, what the daemons have kept for the next one ends with them, and
        the history says so.
        """
        self.port.power(False)
        unheard = len(self.daemons) if self._agent is None else 0
        self.ask("sockets")
        if unheard:  # one event of each at least
            self.ask("event", event={"kind": "events.lost", "count": unheard})
        for process in self.daemons.values():
            process.kill()
        self.daemons.clear()
        # What they have started ends with them, but a moment later: that is not certain enough.
        self.cgroup.kill()
        if self.serves:
            with network_namespace_of(self.host.pid):
                interface = self.host.link("storage").interface
                remove_address(interface, configs.portal(self.scenario, self.nodes))
        for name in ("initiator", "service"):
            self._path(name).unlink(missing_ok=True)
        self.up = False
        self.incarnation += 1
        self.ask("reset", clean=self.scenario.memory.clean)

    def lose(self, rows: list[list[object]]) -> None:
        """Have the hooks lose packets as if on the wire: rows of [source address or None, share].

        Replaces what was said before; the source None means any.
        """
        self.ask("losses", losses=rows)

    def kill_target(self) -> None:
        """SIGKILL the target that it serves with, if it does; its service daemon goes on."""
        service = self.daemons.get("service")
        for pid in descendants(service.pid) if service is not None else ():
            kill_if(pid, lambda pid: pid in self.cgroup.pids())

    def watchdog_due(self) -> bool:
        """Whether it lost its service daemon to a signal: a watchdog takes such a node down."""
        service = self.daemons.get("service")
        return service is not None and (service.poll() or 0) < 0

    def dead_daemon(self) -> Process | None:
        """A daemon, or the agent, that ended though nobody ended it."""
        running = [*self.daemons.values(), *([self._agent] if self._agent else [])]
        return next((process for process in running if process.poll() is not None), None)

    def end_daemons(self) -> None:
        """End the node's daemons in order; its agent goes on."""
        for process in self.daemons.values():
            process.terminate(2.0)
        self.daemons.clear()

    def stop(self) -> None:
        """End the daemons and the agent, and remove the cgroup."""
        self.end_daemons()
        self._hang_up()
        if self._agent is not None:
            self._agent.terminate(5.0)
            self._agent = None
        if os.path.lexists(self.cgroup.path):
            self.cgroup.remove()
