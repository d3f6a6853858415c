"""A node's agent or attendant as the run sees it: its process, and what the run asks of it."""

from __future__ import annotations

import contextlib
from typing import Any, Final, Literal

from crunchbed.backends.common.live_run import Killable, LiveRun, ended_by_itself
from crunchbed.run import signals
from crunchbed.run.world import NodeSilent, NodeStatus
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines.client import LineClient
from reserve_agent.lines.framing import Message

_MODULES: Final = {"agent": "reserve_agent", "attendant": "nodes.guest"}
_ANSWER_SECONDS = 30.0
_END_SECONDS = 0.5  # from a process's sockets being closed to its exit code


class LiveAgent(Killable):
    """The agent of one node. A fault may kill it: hooks, pool and daemons go on without it.

    Whatever the run has to tell the agent then starts another one, as ``restart`` does. What the
    daemons report meanwhile waits for it. Once it has begun, ``wait`` says when its hooks are in
    place. A machine's attendant is asked what an agent is asked; it sends the heartbeats, and so
    has a heartbeat's priority.
    """

    def __init__(self, node: str, run: LiveRun, kind: Literal["agent", "attendant"]) -> None:
        super().__init__(
            run,
            f"{node} {kind}",
            _MODULES[kind],
            run.of(node, f"{kind}.json"),
            realtime=kind == "attendant",
        )
        self._node = node
        self._client: LineClient | None = None

    def kill(self) -> bool:
        """SIGKILL the agent; returns whether there was one."""
        had = super().kill()
        self._hang_up()
        return had

    def restart(self) -> None:
        """Start an agent that goes on where the last was killed, and wait until it answers."""
        if self.process is None and self._cgroup is not None:
            self._spawn()
            self.wait()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def wait(self) -> None:
        """Return when the agent answers; its failure is told with its own words."""
        process = self.process
        if process is None:
            raise CrunchbedError(f"{self._node}: no agent was started")

        def answers() -> bool:
            code = process.poll()
            if code is not None:
                raise CrunchbedError(f"{process.name} ended ({code}): {process.last_words()}")
            with contextlib.suppress(CrunchbedError):  # no socket yet, or not listening yet
                self._client = LineClient(self._run.of(self._node, "agent"))
            return self._client is not None

        what = f"{process.name} is up; see {process.log}"
        wait_until(answers, _ANSWER_SECONDS, what, pump=signals.check)
        self._run.targets.serve(self._node, self.ask("status")["metrics_port"])

    def ask(self, op: str, **fields: Any) -> Message:
        """Ask the agent; one that was killed is started again first, but not for its ``status``.

        Raises:
            NodeSilent: for ``status``, while there is no agent.
            CrunchbedError: no answer, or the agent refuses.
        """
        if self.process is None and self._cgroup is not None:
            if op == "status":
                raise NodeSilent(f"{self._node}: its agent is down")
            self.restart()
        process = self.process
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
        super().stop()


def node_status(told: Message, *, up: bool) -> NodeStatus:
    """Return how a node is, as an agent or an attendant has answered ``status``."""
    pool = told["pool"]
    return NodeStatus(
        up=up,
        ready=told["ready"],
        view=told["view"],
        serving=told["serving"],
        misses=told["misses"],
        written_pages=told["written"],
        exhausted=told["exhausted"],
        policy=told["policy"],
        pressure=bool(pool["pressure"]),
        waiting_pages=pool["demand"] + pool.get("wanted", 0),
        free_pages=pool["free"],
        reserve_pages=pool["reserve"],
    )
