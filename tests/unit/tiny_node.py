"""A node of the tiny backend: it beats, writes and judges its peers by rules of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from crunchbed.history.recorder import Recorder
from crunchbed.run.world import STORAGE, NodeStatus
from nodes.membership.datagram import tag_of
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import (
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
)
from reserve_agent.contract.events.membership import MembershipSuspected, ViewInstalled
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import WriteAcknowledged
from reserve_agent.errors import CrunchbedError

if TYPE_CHECKING:
    from tests.unit.tiny_backend import TinyWorld

MS: Final = 1_000_000
BLOCKS: Final = 4
"""Blocks of 4 KiB in each write."""

_BOOT_NS: Final = 50 * MS
_WRITE_NS: Final = 20 * MS
_LATENCY_NS: Final = MS


def lacks(*_: object) -> Any:
    """Stand for everything that this backend cannot do, and has refused before the run."""
    raise CrunchbedError("these nodes have no memory, and their packets are never lost")


class TinyNode:
    """A node that sends a heartbeat and judges its peers each interval, and writes meanwhile."""

    daemon_names = ("heartbeat", "initiator")
    serves = False

    def __init__(self, name: str, world: TinyWorld, recorder: Recorder) -> None:
        self.name = name
        self.up = False
        self.incarnation = 0
        self.view: tuple[str, ...] = ()
        self.misses = 0
        self.acknowledged: dict[int, tuple[int, int]] = {}  # newest life and write, by block
        self._index = world.scenario.node_names.index(name)
        self._world = world
        self._recorder = recorder
        self._beats = 0
        self._writes = 0
        self._ready = False
        self._heard: dict[str, int] = {}  # since the last interval, by sender
        self._missed: dict[str, int] = {}  # in a row, by every peer that was heard once

    # --- what the run does to it

    def power_on(self) -> None:
        self.up = True
        self._beats = self._writes = 0
        self._later(_BOOT_NS, self._begin)

    def power_off(self) -> None:
        self.up = self._ready = False
        self.incarnation += 1
        self.view = ()
        self._heard.clear()
        self._missed.clear()

    def status(self) -> NodeStatus:
        return NodeStatus(
            up=self.up,
            ready=self.daemon_names if self._ready else (),
            view=self.view,
            serving=False,
            misses=self.misses,
            written_pages=len(self.acknowledged) * BLOCKS,
            exhausted=0,
            policy=self._world.scenario.policy,
            pressure=False,
            waiting_pages=0,
            free_pages=self._world.scenario.memory.pages,
            reserve_pages=0,
        )

    def note(self, event: Event) -> None:
        self._recorder.record(event.stamped(self._world.loop.now_ns(), self.name))

    begin_burst = calm = begin_windows = wake = resize = set_policy = pause = resume = lacks

    def forget_neighbours(self) -> int:
        return 0

    def count_reserve_users(self) -> None:
        """There is no reserve."""

    def count_packets(self) -> None:
        """There are no hooks that count."""

    def watchdog_due(self) -> bool:
        return False

    def check(self) -> None:
        """There is no process that could die."""

    # --- what it does itself

    def _later(self, ns: int, call: Callable[[], None]) -> None:
        """Call something while this life of the node goes on and nothing has ended the daemons."""
        life = self.incarnation

        def in_this_life() -> None:
            if self.up and self.incarnation == life and not self._world.quiet:
                call()

        self._world.loop.at(self._world.loop.now_ns() + ns, in_this_life)

    def _begin(self) -> None:
        self._ready = True
        for name in self.daemon_names:
            self.note(DaemonReady(name=name))
        interval = self._world.scenario.heartbeat.interval
        self._later(interval * self._index // len(self._world.nodes), self._beat)
        self._later(_WRITE_NS, self._write)

    def _beat(self) -> None:
        """Look who was heard since the last interval, and send the next heartbeat to all."""
        self._judge_peers()
        self._beats += 1
        peers = [peer for peer in self._world.nodes if peer != self.name]
        self.note(HeartbeatSent(seq=self._beats, peers=peers, tag=self._tag(self.name)))
        for peer in peers:
            if self._world.network.passes(self.name, peer):
                self._world.nodes[peer].hear(self.name)
        self._later(self._world.scenario.heartbeat.interval, self._beat)

    def hear(self, sender: str) -> None:
        """A heartbeat arrives."""
        if self._ready:
            self._heard[sender] = self._heard.get(sender, 0) + 1

    def _tag(self, name: str) -> str:
        node = self._world.nodes[name]
        return tag_of(node._index, node.incarnation, node._beats)

    def _judge_peers(self) -> None:
        heard = dict(self._heard)
        self._heard.clear()
        self.note(HeartbeatReceived(counts=heard, malformed=0, late=0))
        self._missed |= dict.fromkeys(heard, 0)
        for peer in self.view:
            if peer in self._missed and peer not in heard:
                self._miss(peer)
        most = self._world.scenario.heartbeat.misses
        suspects = {peer for peer, row in self._missed.items() if row >= most}
        self._world.vote(self.name, set(heard), suspects)

    def _miss(self, peer: str) -> None:
        self.misses += 1
        self._missed[peer] += 1
        now, seq = self._world.loop.now_ns(), self._world.nodes[peer]._beats
        self.note(HeartbeatMissed(peer=peer, seq=seq, deadline=now, tag=self._tag(peer)))
        if self._missed[peer] == self._world.scenario.heartbeat.misses:
            self.note(MembershipSuspected(peer=peer, misses=self._missed[peer]))

    def install(self, number: int, members: tuple[str, ...]) -> None:
        """Take over a view that the coordinator has decided on."""
        removed = [peer for peer in self.view if peer not in members]
        added = [peer for peer in members if peer not in self.view]
        self.view = members
        self.note(ViewInstalled(number=number, members=list(members), removed=removed, added=added))

    def _write(self) -> None:
        """Write the next blocks of the node's own; the disk answers while its link is up."""
        if self._world.network.passes(self.name, STORAGE):
            self._writes += 1
            write = WriteAcknowledged(
                seq=self._writes,
                incarnation=self.incarnation,
                block=self._index * 10_000 + self._writes * BLOCKS,
                blocks=BLOCKS,
                submitted=self._world.loop.now_ns(),
            )
            self._world.blocks[write.block] = (write.incarnation, write.seq)
            self._later(_LATENCY_NS, lambda: self._acknowledge(write))
        self._later(_WRITE_NS, self._write)

    def _acknowledge(self, write: WriteAcknowledged) -> None:
        self.acknowledged[write.block] = (write.incarnation, write.seq)
        self.note(write)
