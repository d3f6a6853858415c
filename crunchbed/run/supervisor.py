"""Keeps a running cluster going: fences, reboots, panics, watchdogs, and what has died."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from crunchbed.history.recorder import Recorder
from crunchbed.run.progress import Progress
from crunchbed.run.world import Loop, Node, NodeSilent, World, never
from reserve_agent.contract.events.faults import NodeDown, NodeUp
from reserve_agent.contract.events.membership import FenceConfirmed, FenceStarted, NodeEjected
from reserve_agent.errors import RunInvalid

_WATCH_NS: Final = 20_000_000
_TICK_NS: Final = 100_000_000
_MOST_SHOWN: Final = 32


class Supervisor:
    """Moves a running cluster along, from the loop that it is given.

    Args:
        world: The cluster.
        loop: Lets time pass.
        recorder: The run's part of the history.
        progress: Who watches.
        reboot_delay_ns: From a confirmed fence to power on.
        panics: Whether a node dies of an exhausted reserve.
        confirm: Whether a fence cuts its target off before it is confirmed; without that it is
            only said to be, and its target lives until it is booted.
        watches: Whether a part of a node can end by itself, so that somebody has to look.

    Attributes:
        cut_off_since: Says since when a fault keeps a node (first) from another one (second);
            None: no fault does.
    """

    def __init__(
        self,
        world: World,
        loop: Loop,
        recorder: Recorder,
        progress: Progress,
        *,
        reboot_delay_ns: int,
        panics: bool,
        confirm: bool = True,
        watches: bool = True,
    ) -> None:
        self.nodes = world.nodes
        self.cut_off_since: Callable[[str, str], int | None] = lambda _target, _by: None
        self._world = world
        self._loop = loop
        self._recorder = recorder
        self._progress = progress
        self._reboot_delay_ns = reboot_delay_ns
        self._panics = panics
        self._confirm = confirm
        self._reboots: dict[str, int] = {}  # when a node boots that is to boot by itself
        self._downs: dict[str, int] = {}  # when a node went down without a fence
        self._next_tick_ns = 0
        self._watched = list(self.nodes.values()) if watches else []
        self._asked = list(self.nodes.values())
        self._everybody = sorted(self.nodes)
        self._views_known: list[Sequence[str]] = []
        self._first_asked = 0
        loop.at(loop.now_ns(), self._watch)

    def fence(self, target: str, by: str) -> bool:
        """Cut ``target`` off. The ejection is false where it was up, and no fault cut it off."""
        node = self.nodes[target]
        began = self._recorder.record(FenceStarted(target=target, by=by))
        since = self._downs.get(target, self.cut_off_since(target, by))
        self._progress.note(f"{target} is ejected: fenced by {by}")
        if node.up and self._confirm:
            node.power_off()
            self._recorder.record(NodeDown(target=target, reason="fence"))
        self._recorder.record(FenceConfirmed(target=target, by=by))
        node.note(
            NodeEjected(
                reason="heartbeats_missed",
                false=since is None,
                delay_ns=None if since is None else began - since,
            )
        )
        self._reboot_later(target)
        return True

    def crash(self, name: str, reason: str) -> bool:
        """Take a node's power away without a fence; False where it is down already."""
        node = self.nodes[name]
        if not node.up:
            return False
        began = self._loop.now_ns()
        node.power_off()
        down = NodeDown(t=began, target=name, reason=reason)
        self._downs[name] = self._recorder.record(down)
        self._progress.note(f"{name} is down: {reason}")
        return True

    def boot_if_down(self, name: str) -> None:
        """Power a node on, unless it is up or its reboot is due anyway."""
        if not self.nodes[name].up and name not in self._reboots:
            self._reboot(name)

    def cancel_reboots(self) -> None:
        """No node boots any more; nodes that are down stay down."""
        self._reboots.clear()

    def _reboot_later(self, name: str) -> None:
        due = self._reboots[name] = self._loop.now_ns() + self._reboot_delay_ns
        self._loop.at(due, partial(self._reboot_if_due, name, due))

    def _reboot_if_due(self, name: str, due: int) -> None:
        if self._reboots.get(name) == due:  # neither cancelled nor put off
            del self._reboots[name]
            self._reboot(name)

    def _reboot(self, name: str) -> None:
        node = self.nodes[name]
        if node.up:  # its fence was only assumed
            node.power_off()
            self._recorder.record(NodeDown(target=name, reason="fence"))
        self._downs.pop(name, None)
        node.power_on()
        self._world.released(name)
        self._recorder.record(NodeUp(target=name, incarnation=node.incarnation))
        self._progress.note(f"{name} reboots")

    def _watch(self) -> None:
        """Look at everything again and again, while the loop runs."""
        now = self._loop.now_ns()
        self._loop.at(now + _WATCH_NS, self._watch)
        self._notice_the_dead()
        if now >= self._next_tick_ns:
            self._next_tick_ns = now + _TICK_NS
            if self._panics:
                self._panic_on_exhaustion()
            self._progress.tick()

    def _notice_the_dead(self) -> None:
        for node in self._watched:
            if node.up and node.watchdog_due():
                self.crash(node.name, "watchdog")
        for node in self._watched:
            node.check()
        self._world.check()

    def _panic_on_exhaustion(self) -> None:
        """A node whose reserve had nothing left for block I/O, a heartbeat or ARP is dead."""
        for name, node in self.nodes.items():
            if node.up and _exhausted(node):
                self._progress.note(f"{name} panics: its reserve is exhausted")
                self.crash(name, "reserve_exhausted")
                self._reboot_later(name)

    def wait(self, seconds: float) -> None:
        """Keep the cluster going for ``seconds``."""
        self._loop.run_until(never, seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Keep going until ``condition`` or the time is up; returns whether it holds."""
        return self._loop.run_until(condition, seconds)

    def unhealthy(self) -> str | None:
        """Why the cluster is not healthy yet, or None when it is."""
        servers: list[str] = []
        for node in self.nodes.values():
            if (reason := self._ails(node, servers)) is not None:
                return reason
        return self._unserved(servers)

    def healthy(self) -> bool:
        """Whether the cluster is healthy: as ``unhealthy``, for who asks again and again.

        The node that was not healthy the last time is asked first.
        """
        servers: list[str] = []
        for number in range(len(self._asked)):
            asked = (self._first_asked + number) % len(self._asked)
            if self._ails(self._asked[asked], servers) is not None:
                self._first_asked = asked
                return False
        return self._unserved(servers) is None

    def _ails(self, node: Node, servers: list[str]) -> str | None:
        """Why a node is not healthy; one that serves is added to ``servers``."""
        if not node.up:
            return f"{node.name} is down"
        try:
            status = node.status()
        except NodeSilent as error:
            return str(error)
        missing = set(node.daemon_names) - set(status.ready)
        if missing:
            return f"{node.name}: {', '.join(sorted(missing))} not ready"
        if not self._has_all(status.view):
            return f"{node.name} sees {_some(status.view) or 'nobody'}"
        if status.pressure:
            return f"{node.name} is under memory pressure"
        servers += [node.name] if status.serving else []
        return None

    def _has_all(self, view: Sequence[str]) -> bool:
        """Whether a view has all nodes; the latest that had is known again, as nodes may share."""
        if any(view is known for known in self._views_known):
            return True
        if sorted(view) != self._everybody:
            return False
        self._views_known = [view]
        return True

    def _unserved(self, servers: Sequence[str]) -> str | None:
        if len(servers) != 1 and any(node.serves for node in self.nodes.values()):
            return f"the block device is served by {' and '.join(servers) or 'nobody'}"
        return None

    def require_health(self, seconds: float) -> None:
        """Wait until the cluster is healthy.

        Raises:
            RunInvalid: The cluster did not become healthy; says why.
        """
        if not self.wait_until(self.healthy, seconds):
            reason = self.unhealthy()
            raise RunInvalid(f"the cluster did not become healthy in {seconds:g} s: {reason}")


def _some(names: Sequence[str]) -> str:
    """Return names to read: all of a small cluster."""
    shown = ", ".join(names[:_MOST_SHOWN])
    return shown if len(names) <= _MOST_SHOWN else f"{shown} and {len(names) - _MOST_SHOWN} others"


def _exhausted(node: Node) -> bool:
    try:
        return node.status().exhausted > 0
    except NodeSilent:  # the next agent will know
        return False
