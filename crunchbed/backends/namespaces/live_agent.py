"""A node's agent as the run sees it: its process, and the questions that the run has for it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crunchbed.backends.namespaces.daemons import Places
from crunchbed.backends.namespaces.targets import Targets
from crunchbed.run import signals
from crunchbed.run.world import NodeSilent
from nodes.process import Process, spawn
from nodes.waiting import wait_until
from reserve_agent.config import AgentConfig
from reserve_agent.config_files import write_config
from reserve_agent.errors import CrunchbedError, RunInvalid
from reserve_agent.lines import LineClient, Message

_ANSWER_SECONDS = 30.0
_END_SECONDS = 0.5  # from a process's sockets being closed to its exit code


def ended_by_itself(process: Process) -> RunInvalid:
    """Return the error to raise for a process that ended though nobody ended it."""
    words = process.last_words() or f"no word in {process.log}"
    return RunInvalid(f"{process.name} ended by itself ({process.poll()}): {words}")


class LiveAgent:
    """The agent of one node. It may be killed as a fault (``kill``): the node goes on without it.

    Whatever the run has to tell the agent then starts another one, as ``restart`` does.

    Args:
        node: Whose agent.
        places: Where the run keeps things.
        started: Is told of every process of the agent.
        targets: Is told where the node's metrics are.
    """

    def __init__(
        self, node: str, places: Places, started: Callable[[Process], None], targets: Targets
    ) -> None:
        self._node = node
        self._places = places
        self._started = started
        self._targets = targets
        self._process: Process | None = None
        self._cgroup: Path | None = None
        self._client: LineClient | None = None

    @property
    def process(self) -> Process | None:
        """Its process; None while the agent is killed, and before ``start``."""
        return self._process

    def start(self, config: AgentConfig, cgroup: Path) -> None:
        """Start the agent for the first time; ``wait`` says when its hooks are in place."""
        write_config(self._places.of(self._node, "agent.json"), config)
        self._cgroup = cgroup
        self._spawn()

    def _spawn(self) -> None:
        config = self._places.of(self._node, "agent.json")
        self._process = spawn(
            [sys.executable, "-m", "reserve_agent", str(config)],
            name=f"{self._node} agent",
            log=self._places.log(self._node, "agent"),
            netns_pid=None,
            cgroup=self._cgroup,
        )
        self._started(self._process)

    def kill(self) -> bool:
        """SIGKILL the agent. Hooks, pool and daemons go on; what they report waits for the next.

        Returns whether there was one.
        """
        process, self._process = self._process, None
        if process is not None:
            process.kill()
        self._hang_up()
        return process is not None

    def restart(self) -> None:
        """Start an agent that goes on where the last was killed; harmless while there is one.

        Returns when it answers.

        Raises:
            CrunchbedError: it does not come up.
        """
        if self._process is None and self._cgroup is not None:
            self._spawn()
            self.wait()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def wait(self) -> None:
        """Return when the agent answers; its failure is told with its own words."""
        process = self._process
        if process is None:
            raise CrunchbedError(f"{self._node}: no agent was started")

        def answers() -> bool:
            code = process.poll()
            if code is not None:
                raise CrunchbedError(f"{process.name} ended ({code}): {process.last_words()}")
            with contextlib.suppress(CrunchbedError):  # no socket yet, or not listening yet
                self._client = LineClient(self._places.of(self._node, "agent"))
            return self._client is not None

        what = f"{process.name} is up; see {process.log}"
        wait_until(answers, _ANSWER_SECONDS, what, pump=signals.check)
        self._targets.serve(self._node, self.ask("status")["metrics_port"])

    def ask(self, op: str, **fields: Any) -> Message:
        """Ask the agent; one that was killed is started again first, but not for its ``status``.

        Raises:
            NodeSilent: for ``status``, while there is no agent.
            CrunchbedError: no answer, or the agent refuses.
        """
        if self._process is None and self._cgroup is not None:
            if op == "status":
                raise NodeSilent(f"{self._node}: its agent is down")
            self.restart()
        process = self._process
        if self._client is None or process is None:
            raise CrunchbedError(f"{self._node}: its agent is not up")
        try:
            return self._client.ask(op=op, **fields)
        except CrunchbedError:
            with contextlib.suppress(CrunchbedError):
                ended = f"{process.name}'s end"
                wait_until(lambda: process.poll() is not None, _END_SECONDS, ended)
            if process.poll() is not None:
                raise ended_by_itself(process) from None
            raise

    def stop(self) -> None:
        """End the agent."""
        self._hang_up()
        if self._process is not None:
            self._process.terminate(5.0)
            self._process = None
