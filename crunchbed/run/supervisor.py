"""The run's one loop: serves the fence, reboots nodes, notices what died, waits for conditions."""

from __future__ import annotations

import contextlib
import selectors
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from crunchbed.backends.namespaces.live_node import AgentAway, LiveNode, ended_by_itself
from crunchbed.history.recorder import Recorder
from crunchbed.run import signals
from crunchbed.run.progress import Progress
from nodes.fencing import FenceServer
from nodes.process import Process
from reserve_agent.errors import CrunchbedError, RunInvalid

_Server = TypeVar("_Server")
_STEP_SECONDS = 0.02
_TICK_SECONDS = 0.1


class Supervisor:
    """Moves a running cluster along; ``others`` are processes that must live as long as the run.

    Args:
        nodes: The cluster's nodes by name.
        reboot_delay: Seconds from a confirmed fence to power on.
        panics: Whether a node dies of an exhausted reserve.
        recorder: The run's part of the history.
        progress: Who watches.
        confirm: Whether a fence cuts its target off before it is confirmed; without that it is
            only said to be, and its target lives until it is booted.
    """

    def __init__(
        self,
        nodes: Mapping[str, LiveNode],
        reboot_delay: float,
        panics: bool,
        recorder: Recorder,
        progress: Progress,
        confirm: bool = True,
    ) -> None:
        self.nodes = nodes
        self.others: list[Process] = []
        self._reboot_delay = reboot_delay
        self._panics = panics
        self._confirm = confirm
        self._recorder = recorder
        self._progress = progress
        self._selector = selectors.DefaultSelector()
        self._reboots: dict[str, float] = {}
        self._downs: dict[str, int] = {}  # nodes that went down without a fence, and when
        self._server: FenceServer | None = None
        self._next_tick = 0.0
        self.cut_off_since: Callable[[str, str], int | None] = lambda _target, _by: None

    def serve_fence(self, server: Callable[[selectors.BaseSelector], FenceServer]) -> FenceServer:
        """Make the fence service on this loop's selector."""
        self._server = server(self._selector)
        return self._server

    def serve(self, server: Callable[[selectors.BaseSelector], _Server]) -> _Server:
        """Make another service on this loop's selector."""
        return server(self._selector)

    def fence(self, target: str, by: str) -> bool:
        """Cut ``target`` off. The ejection is false where it was up, and no fault cut it off."""
        node = self.nodes[target]
        began = self._recorder.record("fence.start", target=target, by=by)
        since = self._downs.get(target, self.cut_off_since(target, by))
        self._progress.note(f"{target} is ejected: fenced by {by}")
        was_up = node.up
        if was_up and self._confirm:
            node.power_off()
            self._recorder.record("node.down", target=target, reason="fence")
        self._recorder.record("fence.confirmed", target=target, by=by)
        ejected = {"kind": "node.ejected", "reason": "heartbeats_missed", "false": since is None}
        if since is not None:
            ejected["delay_ns"] = began - since
        node.ask("event", event=ejected)
        self._reboots[target] = time.monotonic() + self._reboot_delay
        return True

    def pump(self, seconds: float = _STEP_SECONDS) -> None:
        """Do what is due, then wait for at most ``seconds``.

        Raises:
            KeyboardInterrupt: Somebody wants the run to end.
            RunInvalid: A part of the testbed has died.
        """
        signals.check()
        for key, _ in self._selector.select(seconds):
            key.data()
        now = time.monotonic()
        for name in [name for name, due in self._reboots.items() if now >= due]:
            del self._reboots[name]
            self._reboot(name)
        self._notice_the_dead()
        if now >= self._next_tick:
            self._next_tick = now + _TICK_SECONDS
            if self._panics:
                self._panic_on_exhaustion()
            self._progress.tick()

    def _panic_on_exhaustion(self) -> None:
        """A node whose reserve had nothing left for block I/O, a heartbeat or ARP is dead."""
        for name, node in self.nodes.items():
            if node.up and _exhausted(node):
                self._progress.note(f"{name} panics: its reserve is exhausted")
                self.crash(name, "reserve_exhausted")
                self._reboots[name] = time.monotonic() + self._reboot_delay

    def crash(self, name: str, reason: str) -> bool:
        """Take a node's power away without a fence; False where it is down already."""
        node = self.nodes[name]
        if not node.up:
            return False
        began = time.monotonic_ns()
        node.power_off()
        self._downs[name] = self._recorder.record("node.down", t=began, target=name, reason=reason)
        self._progress.note(f"{name} is down: {reason}")
        return True

    def is_down(self, name: str) -> bool:
        """Whether a node has no power."""
        return not self.nodes[name].up

    def boot_if_down(self, name: str) -> None:
        """Power a node on, unless it is up or its reboot is due anyway."""
        if not self.nodes[name].up and name not in self._reboots:
            self._reboot(name)

    def cancel_reboots(self) -> None:
        """Nobody boots any more; who is down stays down."""
        self._reboots.clear()

    def _reboot(self, name: str) -> None:
        if self.nodes[name].up:  # its fence was only assumed
            self.nodes[name].power_off()
            self._recorder.record("node.down", target=name, reason="fence")
        self._downs.pop(name, None)
        self.nodes[name].power_on()
        if self._server is not None:
            self._server.released(name)
        self._recorder.record("node.up", target=name, incarnation=self.nodes[name].incarnation)
        self._progress.note(f"{name} reboots")

    def _notice_the_dead(self) -> None:
        for name, node in self.nodes.items():
            if node.up and node.watchdog_due():
                self.crash(name, "watchdog")
        candidates = [node.dead_daemon() for node in self.nodes.values()]
        candidates += [process for process in self.others if process.poll() is not None]
        for process in candidates:
            if process is not None:
                raise ended_by_itself(process)

    def wait(self, seconds: float) -> None:
        """Keep the cluster going for ``seconds``."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.pump(min(_STEP_SECONDS, left))

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Keep going until ``condition`` or the time is up; says which: True for the former."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= until:
                return False
            self.pump()
        return True

    def unhealthy(self) -> str | None:
        """Why the cluster is not healthy yet, or None when it is."""
        everybody = sorted(self.nodes)
        servers: list[str] = []
        for name, node in self.nodes.items():
            if not node.up:
                return f"{name} is down"
            try:
                status = node.ask("status")
            except AgentAway as error:
                return str(error)
            missing = set(node.daemon_names) - set(status["ready"])
            if missing:
                return f"{name}: {', '.join(sorted(missing))} not ready"
            if sorted(status["view"]) != everybody:
                return f"{name} sees {', '.join(status['view']) or 'nobody'}"
            if status["pool"]["pressure"]:
                return f"{name} is under memory pressure"
            servers += [name] if status["serving"] else []
        if any(node.serves for node in self.nodes.values()) and len(servers) != 1:
            return f"the block device is served by {' and '.join(servers) or 'nobody'}"
        return None

    def require_health(self, seconds: float) -> None:
        """Wait until the cluster is healthy; raises RunInvalid with the reason when it is not."""
        reason: str | None = None

        def healthy() -> bool:
            nonlocal reason
            reason = self.unhealthy()
            return reason is None

        if not self.wait_until(healthy, seconds):
            raise RunInvalid(f"the cluster did not become healthy in {seconds:g} s: {reason}")


def _exhausted(node: LiveNode) -> bool:
    with contextlib.suppress(AgentAway):  # its successor will know
        return bool(node.ask("status")["exhausted"])
    return False


def ask_quietly(node: LiveNode, op: str, **fields: object) -> None:
    """Ask for something that is only worth having where the agent is still there."""
    try:
        node.ask(op, **fields)
    except CrunchbedError:
        return
