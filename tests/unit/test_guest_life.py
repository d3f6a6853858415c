"""A node that is a machine, as membership, detectors and history see it from beside the guest."""

from __future__ import annotations

import errno

import pytest

from nodes.guest import layout
from nodes.guest.layout import Kind, Memalloc, RingName, Socket
from nodes.guest.ring import SharedMemory
from reserve_agent.contract.events.guests import GuestClockCompared, GuestCounted, GuestReady
from reserve_agent.contract.events.heartbeats import (
    HeartbeatLate,
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
)
from reserve_agent.contract.events.membership import (
    MembershipSuspected,
    ViewInstalled,
)
from reserve_agent.contract.events.pressure import PoolConfigured
from reserve_agent.contract.events.run import DaemonReady, EventsLost
from reserve_agent.contract.events.writes import (
    IoDisconnected,
    IoReconnected,
    WriteAcknowledged,
)
from tests.unit.fake_guest import MIN_PAGES, MS
from tests.unit.guest_cluster import INTERVAL_NS, POLL_NS, GuestCluster, GuestNode


@pytest.fixture
def cluster() -> GuestCluster:
    """Three nodes that are up, and have been for a second."""
    made = GuestCluster()
    made.boot()
    return made


def missed(node: GuestNode) -> set[str | None]:
    return {event.peer for event in node.of(HeartbeatMissed)}


def test_nodes_boot_and_miss_nothing(cluster: GuestCluster) -> None:
    cluster.run(5000)
    for name, node in cluster.nodes.items():
        others = sorted(set(cluster.nodes) - {name})
        assert node.life.state == "ready"
        assert [event.name for event in node.of(DaemonReady)] == ["heartbeat", "initiator"]
        assert [event.kernel for event in node.of(GuestReady)] == ["6.1.0-test-amd64"]
        assert [event.reserve for event in node.of(PoolConfigured)] == [MIN_PAGES]
        assert [len(event.members) for event in node.of(ViewInstalled)] == [3]
        assert not missed(node)
        assert not node.of(HeartbeatLate)
        assert not node.of(EventsLost)
        sent = node.of(HeartbeatSent)
        assert [event.seq for event in sent] == list(range(1, len(sent) + 1))
        assert all(event.peers == others and event.failed is None for event in sent)
        assert node.of(HeartbeatReceived)[-1].counts == dict.fromkeys(others, 10)


def test_the_attendant_adds_less_than_a_tenth_of_the_interval(cluster: GuestCluster) -> None:
    """A heartbeat is due at the node's phase; the observer has its arrival by the guest's stamp."""
    cluster.run(5000)
    for index, node in enumerate(cluster.nodes.values()):
        due = INTERVAL_NS * index // 3
        late = [(event.t - due) % INTERVAL_NS for event in node.of(HeartbeatSent)]
        assert max(late) <= POLL_NS + MS + MS
        assert max(late) < INTERVAL_NS // 10


def test_what_the_channel_adds_is_in_the_history(cluster: GuestCluster) -> None:
    """A packet waits for the attendant's next look, which is every ``POLL_NS``."""
    cluster.run(5000)
    for node in cluster.nodes.values():
        added = [event.channel_ns for event in node.of(GuestCounted) if event.channel_ns]
        assert len(added) >= 4
        assert max(added) <= POLL_NS + 2 * MS < INTERVAL_NS / 10
        quiet = len(node.of(GuestCounted))
        for other in cluster.nodes.values():
            other.guest.deaf = True
        cluster.run(2500)
        assert node.of(GuestCounted)[-1].channel_ns == 0, len(node.of(GuestCounted)) - quiet
        for other in cluster.nodes.values():
            other.guest.deaf = False


def test_times_are_brought_to_the_hosts_clock(cluster: GuestCluster) -> None:
    cluster.run(3000)
    for index, node in enumerate(cluster.nodes.values()):
        guest = node.guest
        (first, *_) = node.of(GuestClockCompared)
        really = cluster.now() - guest.now()
        assert abs(first.offset_ns - really) <= first.bound_ns <= 2 * MS
        assert abs(node.life.clock.offset_ns - really) <= node.life.clock.bound_ns <= 2 * MS
        assert really != cluster.nodes["n1"].guest.now() or index == 0
        acks = node.of(WriteAcknowledged)
        assert all(abs(ack.t - ack.submitted - 2 * MS) <= MS for ack in acks)
        assert cluster.now() - 30 * MS <= acks[-1].t <= cluster.now() + MS


def test_a_deaf_guest_misses_its_peers_and_goes_on_to_speak(cluster: GuestCluster) -> None:
    deaf = cluster.nodes["n1"]
    deaf.guest.deaf = True
    before = len(deaf.of(HeartbeatSent))
    cluster.run(250)
    assert missed(deaf) == {"n2", "n3"}
    sent = deaf.of(HeartbeatSent)[before:]
    assert len(sent) >= 2
    assert all(event.peers == ["n2", "n3"] for event in sent)
    assert not missed(cluster.nodes["n2"])
    assert not missed(cluster.nodes["n3"])
    cluster.run(1000)
    assert {event.peer for event in deaf.of(MembershipSuspected)} == {"n2", "n3"}


@pytest.mark.parametrize("how", ["fail", "vanish"])
def test_a_mute_guest_is_missed_and_hears_its_peers(cluster: GuestCluster, how: str) -> None:
    mute = cluster.nodes["n1"]
    mute.guest.mute = how
    before = len(mute.of(HeartbeatSent))
    cluster.run(1000)
    assert not missed(mute)
    assert mute.of(HeartbeatReceived)[-1].counts == {"n2": 10, "n3": 10}
    sent = mute.of(HeartbeatSent)[before:]
    assert len(sent) >= 8
    assert all(event.peers == [] and event.failed == ["n2", "n3"] for event in sent)
    assert missed(cluster.nodes["n2"]) == {"n1"}
    assert "n1" in cluster.nodes["n2"].fence.asked + cluster.nodes["n3"].fence.asked
    numbers = [event.seq for event in mute.of(HeartbeatSent)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_frozen_guest_says_and_hears_nothing_and_its_write_is_under_way(
    cluster: GuestCluster,
) -> None:
    cluster.run(8)  # until a write is under way
    frozen = cluster.nodes["n1"]
    while not frozen.life.memory.writes_under_way:
        cluster.run(1)
    frozen.guest.frozen = True
    cluster.run(10)
    acks, sent = len(frozen.of(WriteAcknowledged)), len(frozen.of(HeartbeatSent))
    cluster.run(1500)
    assert frozen.life.memory.writes_under_way == 1
    assert frozen.life.memory.pool.dirty == 4
    assert len(frozen.of(WriteAcknowledged)) == acks
    assert all(event.peers == [] for event in frozen.of(HeartbeatSent)[sent:])
    assert missed(frozen) == {"n2", "n3"}
    assert missed(cluster.nodes["n2"]) == {"n1"}
    assert "n1" in cluster.nodes["n2"].fence.asked + cluster.nodes["n3"].fence.asked


@pytest.mark.parametrize("how", ["deaf", "frozen"])
def test_who_hears_nothing_has_no_majority_to_cut_others_off(
    cluster: GuestCluster, how: str
) -> None:
    node = cluster.nodes["n1"]
    setattr(node.guest, how, True)
    cluster.run(3000)
    assert {event.peer for event in node.of(MembershipSuspected)} == {"n2", "n3"}
    assert node.fence.asked == []


def test_a_guest_that_thaws_does_not_say_what_is_old(cluster: GuestCluster) -> None:
    thawing, other = cluster.nodes["n1"], cluster.nodes["n2"]
    thawing.guest.frozen = True
    cluster.run(1050)
    got = sum(event.counts.get("n1", 0) for event in other.of(HeartbeatReceived))
    before = len(thawing.of(HeartbeatSent))
    thawing.guest.frozen = False
    cluster.run(1000)
    now = sum(event.counts.get("n1", 0) for event in other.of(HeartbeatReceived))
    assert 9 <= now - got <= 13  # one or two that waited, and then one in each interval
    sent = thawing.of(HeartbeatSent)
    assert [event.seq for event in sent] == sorted(event.seq or 0 for event in sent)
    assert sum(event.failed is None for event in sent[before:]) >= 8


def test_standing_still_without_a_crunch_is_the_testbeds_lateness(cluster: GuestCluster) -> None:
    node = cluster.nodes["n1"]
    node.guest.frozen = True
    cluster.run(70)
    node.guest.frozen = False
    cluster.run(100)
    (late,) = node.of(HeartbeatLate)
    assert 65 * MS <= late.late_ns <= 75 * MS


def test_a_life_ends_with_what_the_guest_has_said_last(cluster: GuestCluster) -> None:
    node = cluster.nodes["n1"]
    node.guest.mute = "vanish"
    acks = len(node.of(WriteAcknowledged))
    for _ in range(200):  # the attendant does not look
        cluster.ns += MS // 4
        node.guest.run()
    node.life.close()
    assert len(node.of(WriteAcknowledged)) > acks
    assert node.life.memory.pool.dirty == 0
    count = len(node.events)
    node.boot(1)
    node.guest.boot()
    cluster.run(500)
    again = node.events[count:]
    acks_again = [event for event in again if isinstance(event, WriteAcknowledged)]
    assert {ack.incarnation for ack in acks_again} == {1}
    assert [event.name for event in again if isinstance(event, DaemonReady)] == [
        "heartbeat",
        "initiator",
    ]
    (view,) = [event for event in again if isinstance(event, ViewInstalled)]
    assert view.number > 1  # it has joined, and did not begin a cluster of its own


def test_bad_messages_are_counted_and_end_nothing(cluster: GuestCluster) -> None:
    node = cluster.nodes["n1"]
    answers = node.guest.rings[RingName.ANSWERS]
    answers.put(Kind.DONE, 999, b"short")
    answers.put(Kind.SENT, 999, bytes(24))
    node.guest.rings[RingName.RECEIVED].put(Kind.RECEIVED, 0, b"\xff" * 32)
    cluster.run(100)
    assert sum(event.count for event in node.of(EventsLost)) == 3
    control = layout.RingControl.from_buffer(node.memory, layout.RINGS_AT + RingName.RECEIVED * 128)
    control.head += 12  # no message is there, and none of 12 bytes can be
    cluster.run(10)  # the attendant looks again and again, and throws it away once
    control.head += 4  # where the guest's agent goes on
    control.tail = control.head
    cluster.run(2000)
    assert sum(event.count for event in node.of(EventsLost)) == 4
    assert node.life.state == "ready"
    assert not missed(node)
    assert node.of(HeartbeatReceived)[-1].counts == {"n2": 10, "n3": 10}


def test_an_agent_that_fails_a_panic_and_a_refusal_are_failures_with_a_reason() -> None:
    cluster = GuestCluster()
    one, two, three = cluster.nodes.values()
    one.guest.fail(b"insmod nbd", errno.ENODEV)
    two.guest.refuses[Kind.FLAG] = errno.EPERM
    two.guest.boot()
    three.guest.boot()
    cluster.run(1000)
    three.guest.panic()
    cluster.run(100)
    assert one.life.failure == "the agent in the guest: insmod nbd: No such device"
    assert two.life.failure == "the guest refused flag: Operation not permitted"
    assert three.life.failure == "the guest's kernel has panicked"
    assert {node.life.state for node in cluster.nodes.values()} == {"failed"}


@pytest.mark.parametrize(
    ("classes", "heartbeat", "disk"),
    [
        (("block-io", "heartbeat"), Memalloc.NOWAIT, Memalloc.ON),
        (("block-io",), Memalloc.OFF, Memalloc.ON),
        (("heartbeat",), Memalloc.NOWAIT, Memalloc.OFF),
    ],
)
def test_sockets_are_flagged_by_class_and_unflagged_with_the_policy(
    classes: tuple[str, ...], heartbeat: Memalloc, disk: Memalloc
) -> None:
    cluster = GuestCluster(policy="memalloc", memalloc=classes, computed=251)
    cluster.boot()
    node = cluster.nodes["n1"]
    assert node.guest.flags == {Socket.HEARTBEAT: heartbeat, Socket.DISK: disk}
    node.life.set_policy("none")
    cluster.run(10)
    assert node.guest.flags == {Socket.HEARTBEAT: Memalloc.OFF, Socket.DISK: Memalloc.OFF}
    configured = node.of(PoolConfigured)
    assert [event.policy for event in configured] == ["memalloc", "none"]
    assert [event.computed for event in configured] == [251, 251]


def test_a_device_that_ends_is_connected_again(cluster: GuestCluster) -> None:
    node = cluster.nodes["n1"]
    node.guest.refuses[Kind.CONNECT] = errno.ECONNREFUSED
    node.guest.end_disk(errno.ECONNRESET)
    cluster.run(1000)
    assert [event.error for event in node.of(IoDisconnected)] == ["Connection reset by peer"]
    assert node.guest.commands.count(Kind.CONNECT) >= 5
    assert not node.of(IoReconnected)
    node.guest.refuses.clear()
    cluster.run(500)
    assert len(node.of(IoReconnected)) == 1
    assert [event.name for event in node.of(DaemonReady)] == ["heartbeat", "initiator"]
    assert node.guest.writes is not None


def test_quiesce_ends_heartbeats_and_writers(cluster: GuestCluster) -> None:
    for node in cluster.nodes.values():
        node.life.quiesce()
    cluster.run(200)
    counts = [len(node.of(HeartbeatSent)) for node in cluster.nodes.values()]
    acks = [len(node.of(WriteAcknowledged)) for node in cluster.nodes.values()]
    cluster.run(1000)
    assert [len(node.of(HeartbeatSent)) for node in cluster.nodes.values()] == counts
    assert [len(node.of(WriteAcknowledged)) for node in cluster.nodes.values()] == acks
    assert [node.life.quiesce() for node in cluster.nodes.values()] == [0, 0, 0]
    assert not any(missed(node) for node in cluster.nodes.values())


def test_neighbours_are_set_at_the_boot_and_forgotten_on_demand() -> None:
    cluster = GuestCluster(neighbours={"10.0.0.99": "02:00:00:00:00:63"})
    cluster.boot()
    node = cluster.nodes["n1"]
    assert node.guest.neighbours == {"10.0.0.99": bytes.fromhex("020000000063")}
    assert node.life.forget_neighbours() == 3
    cluster.run(10)
    assert set(node.guest.neighbours) == {"10.0.0.2", "10.0.0.3", "10.0.0.99"}
    assert set(node.guest.neighbours.values()) == {bytes(6)}


def test_a_boot_clears_what_the_last_life_has_left(cluster: GuestCluster) -> None:
    node = cluster.nodes["n1"]
    node.life.close()
    node.boot(1)
    shared = SharedMemory(node.memory)
    assert shared.agent.state == 0
    assert shared.counters() is None
    cluster.run(100)
    assert node.life.state == "booting"
