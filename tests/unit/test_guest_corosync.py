"""A node that is a machine with a corosync, as its history has it: what the watcher tells."""

from __future__ import annotations

import ctypes

import pytest

from nodes.corosync.conf import corosync_conf
from nodes.corosync.config import CorosyncSettings, Totem
from nodes.guest.layout import COROSYNC_AT, Corosync, Kind, Memalloc, RingName
from nodes.guest.messages import CorosyncLine, CorosyncNodes, CorosyncPackets, Done
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import (
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
)
from reserve_agent.contract.events.membership import (
    FenceRequested,
    MembershipSuspected,
    ViewInstalled,
)
from reserve_agent.contract.events.run import DaemonReady, EventsLost
from tests.unit.fake_guest import MS, FakeGuest
from tests.unit.guest_cluster import START_NS, GuestNode, config

NAMES = ["n1", "n2", "n3"]
ADDRESSES = {name: (f"10.0.0.{index}",) for index, name in enumerate(NAMES, 1)}
SYNCHRONIZED = "[MAIN  ] Completed service synchronization, ready to provide service."
FORMED = "[TOTEM ] A new membership (1.9) was formed. Members"
TOKEN = Totem(token=3000, token_coefficient=650, token_retransmits_before_loss_const=4, join=50)


class Watched:
    """The node n1, and the watcher in its guest."""

    def __init__(self, policy: str = "none") -> None:
        self.ns = START_NS
        told = CorosyncSettings(
            node="n1", cluster="k3xq", addresses=ADDRESSES, port=5405, totem=TOKEN
        )
        self.told = told
        settings = config("n1", NAMES, corosync=told, policy=policy, memalloc=("heartbeat",))
        self.node = GuestNode(settings, self.now, self._guest)
        self.told_guest = Corosync.from_buffer_copy(self.node.memory, COROSYNC_AT)
        self.ring = self.node.guest.rings[RingName.COROSYNC]

    def _guest(self, memory: memoryview) -> FakeGuest:
        return FakeGuest(memory, "10.0.0.1", self.now, START_NS - 17 * MS, lambda *_: None)

    def now(self) -> int:
        return self.ns

    def run(self, ms: int) -> None:
        for _ in range(ms):
            self.ns += MS
            self.node.guest.run()
            self.node.life.step()

    def says(self, kind: Kind, said: ctypes.LittleEndianStructure, text: bytes = b"") -> None:
        assert self.ring.put(kind, 0, bytes(said) + text)

    def logs(self, line: str) -> None:
        at_ns = self.node.guest.now()
        self.says(Kind.COROSYNC_LINE, CorosyncLine(at_ns, len(line)), line.encode())

    def forms(self, number: int, members: list[int], left: list[int]) -> None:
        self.logs(FORMED)
        at_ns, count = self.node.guest.now(), len(members)
        gone = CorosyncNodes(at_ns, number, 0, len(left), (ctypes.c_uint32 * 16)(*left))
        here = CorosyncNodes(at_ns, number, count > 1, count, (ctypes.c_uint32 * 16)(*members))
        self.says(Kind.COROSYNC_LEFT, gone)
        self.says(Kind.COROSYNC_QUORUM, here)
        self.logs(SYNCHRONIZED)

    def counts(self) -> None:
        """The last of its connections is there."""
        for peer in (2, 3):
            self.says(Kind.COROSYNC_PACKETS, CorosyncPackets(self.node.guest.now(), peer, 0, 0, 0))

    def events(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in self.node.events if type(event) in kinds]


@pytest.fixture
def watched() -> Watched:
    """A node that is up, in a ring of three."""
    made = Watched()
    made.node.guest.boot()
    made.run(50)
    made.forms(9, [1, 2, 3], [])
    made.run(50)
    made.counts()
    made.run(50)
    return made


def test_the_guest_is_told_its_configuration_before_the_boot() -> None:
    watched = Watched()
    told = watched.told_guest
    assert (told.nodes, told.id, told.links) == (3, 1, 1)
    assert told.configuration.decode() == corosync_conf(watched.told)
    assert told.bytes == len(told.configuration)


def test_a_node_is_ready_when_corosync_is_in_a_ring_and_has_its_memory(watched: Watched) -> None:
    early = Watched()
    early.node.guest.boot()
    early.run(500)
    assert (early.node.life.state, early.events(DaemonReady)) == ("booting", [])
    early.forms(9, [1], [])
    early.run(500)
    assert early.node.life.state == "booting", "its last connection costs memory yet"
    early.counts()
    early.run(50)
    assert early.node.life.state == "ready"
    assert watched.node.life.state == "ready"
    names = [event.name for event in watched.node.of(DaemonReady)]
    assert names == ["heartbeat", "initiator"]
    assert not watched.events(EventsLost)


def test_its_views_are_those_of_a_namespace_at_the_guest_s_times(watched: Watched) -> None:
    watched.forms(13, [1, 3], [2])
    said_ns = watched.ns
    watched.run(40)
    suspected, view, fence = watched.events(MembershipSuspected, ViewInstalled, FenceRequested)[-3:]
    assert isinstance(suspected, MembershipSuspected)
    assert suspected.peer == "n2"
    assert isinstance(view, ViewInstalled)
    assert (view.number, view.members, view.removed) == (13, ("n1", "n3"), ("n2",))
    assert isinstance(fence, FenceRequested)
    assert (fence.target, fence.view) == ("n2", 13)
    assert watched.node.fence.asked == ["n2"]
    for event in (suspected, view, fence):
        assert event.t is not None
        assert abs(event.t - said_ns) <= 2 * MS


def test_a_guest_that_stands_still_has_said_nothing(watched: Watched) -> None:
    before = len(watched.events(ViewInstalled, MembershipSuspected, HeartbeatMissed))
    watched.node.guest.frozen = True
    watched.run(10_000)
    after = len(watched.events(ViewInstalled, MembershipSuspected, HeartbeatMissed))
    assert (after, watched.node.fence.asked) == (before, [])


def test_its_log_and_its_counts_are_heartbeats(watched: Watched) -> None:
    watched.logs("[TOTEM ] Token has not been received in 2737 ms ")
    watched.logs("[KNET  ] link: host: 2 link: 0 is down")
    for sent, received in ((10, 8), (25, 8)):
        watched.says(Kind.COROSYNC_PACKETS, CorosyncPackets(0, 3, 0, sent, received))
    watched.run(10)
    missed = watched.node.of(HeartbeatMissed)
    assert [(one.peer, one.silent_ns) for one in missed] == [
        (None, 2737 * MS),
        ("n2", 3000 * MS),
    ]
    assert [one.peers for one in watched.node.of(HeartbeatSent)] == [0, 0, 10, 15]
    received = [one.counts for one in watched.node.of(HeartbeatReceived)]
    assert received == [{"n2": 0}, {"n3": 0}, {"n3": 8}, {"n3": 0}]


def test_a_corosync_that_ends_makes_the_run_invalid(watched: Watched) -> None:
    watched.logs("[MAIN  ] Corosync Cluster Engine exiting with status 17")
    watched.says(Kind.COROSYNC_ENDED, Done(17 << 8, 0, 0))
    watched.run(10)
    assert watched.node.life.failure == (
        "corosync ended by itself (17): [MAIN  ] Corosync Cluster Engine exiting with status 17"
    )


def test_nothing_is_heard_after_the_end(watched: Watched) -> None:
    watched.node.life.quiesce()
    watched.forms(13, [1], [2, 3])
    watched.run(40)
    assert not watched.events(MembershipSuspected)


def test_what_no_watcher_writes_is_counted_as_lost(watched: Watched) -> None:
    watched.says(Kind.WRITTEN, Done())
    watched.run(10)
    watched.node.life.sample(watched.ns)
    (lost,) = watched.node.of(EventsLost)
    assert lost.count == 1


@pytest.mark.parametrize(
    ("policy", "value"), [("none", Memalloc.OFF), ("memalloc", Memalloc.NOWAIT)]
)
def test_its_sockets_are_flagged_by_their_port(policy: str, value: Memalloc) -> None:
    watched = Watched(policy)
    watched.node.guest.boot()
    watched.run(50)
    watched.forms(9, [1, 2, 3], [])
    watched.counts()
    watched.run(100)
    assert watched.node.guest.ports == {5405: value}
    watched.node.life.set_policy("memalloc")
    watched.run(20)
    assert watched.node.guest.ports == {5405: Memalloc.NOWAIT}
