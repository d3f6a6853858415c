"""A heartbeat node's turns, without a socket and with a clock of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from nodes.membership.actions import FenceRequest, Standing
from nodes.membership.datagram import Kind, tag_of
from nodes.membership.detectors.settings import FixedSettings, Settings, SwimSettings
from nodes.membership.fences import FenceAnswer
from nodes.membership.protocol import Datagram
from nodes.membership.rings import Arrival
from nodes.membership.settings import HeartbeatSettings, Peer
from nodes.membership.turn import REPORT_NS, HeartbeatNode, Turn, sent
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import (
    HeartbeatLate,
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
    RingDown,
)
from reserve_agent.contract.events.membership import (
    FenceRequested,
    MembershipCleared,
    MembershipSuspected,
    ViewInstalled,
)
from reserve_agent.contract.events.run import DaemonReady

INTERVAL = 1_000_000
NAMES = ("n1", "n2", "n3")
E = TypeVar("E", bound=Event)


class TwoRings(HeartbeatSettings):
    """A node with a second ring."""

    @property
    def rings(self) -> int:
        return 2


def settings(
    name: str,
    *,
    detector: Settings | None = None,
    of: type[HeartbeatSettings] = HeartbeatSettings,
    incarnation: int = 0,
    tells_quorum: bool = False,
) -> HeartbeatSettings:
    index = NAMES.index(name)
    return of(
        node=name,
        index=index,
        peers={other: Peer(NAMES.index(other)) for other in NAMES if other != name},
        interval_ns=INTERVAL,
        misses=3,
        incarnation=incarnation,
        joining=incarnation > 0,
        phase_ns=index * INTERVAL // 3,
        grace_ns=INTERVAL,
        detector=FixedSettings() if detector is None else detector,
        tells_quorum=tells_quorum,
    )


class Network:
    """Nodes that take turns when they are due; a datagram arrives a hundredth of interval later."""

    def __init__(self, detector: Settings | None = None) -> None:
        self.now = 0
        self.detector = detector
        self.nodes = {name: HeartbeatNode(settings(name, detector=detector), 0) for name in NAMES}
        self.events: dict[str, list[Event]] = {name: [] for name in NAMES}
        self.fences: list[tuple[str, FenceRequest]] = []
        self.waiting: dict[str, list[Arrival]] = {name: [] for name in NAMES}
        self.answers: dict[str, list[FenceAnswer]] = {name: [] for name in NAMES}
        self.silent: set[str] = set()
        for name, node in self.nodes.items():
            self.events[name] += node.started(0)

    def run(self, until: int) -> None:
        while True:
            due = {name: self._due(name) for name in self.nodes if name not in self.silent}
            name = min(due, key=lambda one: due[one])
            if due[name] > until:
                self.now = until
                return
            self.now = max(self.now, due[name])
            self.take_turn(name)

    def _due(self, name: str) -> int:
        arrivals = [one.at_ns for one in self.waiting[name]]
        answered = [self.now] if self.answers[name] else []
        return min([self.nodes[name].next_turn_ns(), *arrivals, *answered])

    def take_turn(self, name: str) -> Turn:
        arrived = [one for one in self.waiting[name] if one.at_ns <= self.now]
        self.waiting[name] = [one for one in self.waiting[name] if one.at_ns > self.now]
        answers, self.answers[name] = self.answers[name], []
        turn = self.nodes[name].turn(self.now, arrived, answers)
        self.events[name] += turn.events
        for datagram in turn.datagrams:
            self.events[name].append(sent(datagram, self.now, datagram.to, ()))
            for peer in datagram.to:
                arrival = Arrival(datagram.payload, name, self.now + INTERVAL // 100)
                self.waiting[peer].append(arrival)
        self.fences += [(name, fence) for fence in turn.fences]
        return turn

    def of(self, name: str, kind: type[E]) -> list[E]:
        return [event for event in self.events[name] if isinstance(event, kind)]


def test_a_node_says_first_what_it_is() -> None:
    network = Network()
    assert network.events["n1"] == [
        ViewInstalled(t=0, number=1, members=NAMES, added=NAMES),
        DaemonReady(t=0, name="heartbeat"),
    ]
    joining = HeartbeatNode(settings("n1", incarnation=1), 5)
    assert joining.started(5) == [DaemonReady(t=5, name="heartbeat")], "it has no view yet"


def test_heartbeats_go_out_in_each_interval_at_the_nodes_own_phase() -> None:
    network = Network()
    network.run(10 * INTERVAL)
    for name, phase in (("n1", 0), ("n2", INTERVAL // 3), ("n3", 2 * INTERVAL // 3)):
        events = network.of(name, HeartbeatSent)
        first = events[0].t
        assert first % INTERVAL == phase
        assert [event.t for event in events] == [first + i * INTERVAL for i in range(len(events))]
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert events[0].tag == tag_of(NAMES.index(name), 0, 1)
        assert (events[0].failed, events[0].what) == (None, None)
    assert not [event for name in NAMES for event in network.of(name, HeartbeatMissed)]


def test_what_was_received_is_reported_once_a_second() -> None:
    network = Network()
    network.waiting["n1"].append(Arrival(b"garbage", "n2", INTERVAL))
    network.run(2 * REPORT_NS + 1)
    first, second = network.of("n1", HeartbeatReceived)
    assert (first.t, second.t) == (REPORT_NS, 2 * REPORT_NS)
    assert (first.malformed, second.malformed) == (1, 0)
    assert first.counts.keys() == {"n2", "n3"}
    assert abs(second.counts["n2"] - REPORT_NS // INTERVAL) <= 1


def test_a_silent_node_is_missed_suspected_fenced_and_ejected_after_the_fence() -> None:
    network = Network()
    network.run(10 * INTERVAL)
    network.silent.add("n3")
    last = network.of("n3", HeartbeatSent)[-1]
    network.run(20 * INTERVAL)
    misses = network.of("n1", HeartbeatMissed)[:3]
    assert [(miss.peer, miss.seq) for miss in misses] == [("n3", last.seq + i) for i in (1, 2, 3)]
    assert [miss.tag for miss in misses] == [tag_of(2, 0, last.seq + i) for i in (1, 2, 3)]
    arrived = last.t + INTERVAL // 100
    assert [miss.deadline for miss in misses] == [
        arrived + i * INTERVAL + INTERVAL // 2 for i in (1, 2, 3)
    ]
    (suspected,) = network.of("n1", MembershipSuspected)
    assert (suspected.peer, suspected.misses) == ("n3", 3)
    assert network.fences == [("n1", FenceRequest("n3", 1))]
    assert [event.target for event in network.of("n1", FenceRequested)] == ["n3"]
    assert network.of("n1", ViewInstalled)[1:] == [], "not before the fence is confirmed"
    network.answers["n1"].append(FenceAnswer("n3", 1, True, network.now))
    network.run(25 * INTERVAL)
    for name in ("n1", "n2"):
        view = network.of(name, ViewInstalled)[-1]
        assert (view.number, view.members, view.removed) == (2, ("n1", "n2"), ("n3",))


def test_a_node_that_boots_again_is_admitted() -> None:
    network = Network()
    network.run(5 * INTERVAL)
    network.nodes["n3"] = HeartbeatNode(settings("n3", incarnation=1), network.now)
    network.waiting["n3"].clear()
    network.run(15 * INTERVAL)
    assert network.nodes["n3"].membership.standing is Standing.MEMBER
    view = network.of("n1", ViewInstalled)[-1]
    assert (view.removed, view.added) == (("n3",), ("n3",))


def test_a_node_that_was_held_up_says_so_and_leaves_a_gap_in_its_numbers() -> None:
    network = Network()
    network.run(5 * INTERVAL)
    due = network.nodes["n2"].next_turn_ns()
    last = network.of("n2", HeartbeatSent)[-1]
    assert last.seq is not None
    network.silent.add("n2")
    network.run(last.t + 3 * INTERVAL)
    network.silent.clear()
    network.take_turn("n2")
    (late,) = network.of("n2", HeartbeatLate)
    assert (late.t, late.late_ns) == (last.t + 3 * INTERVAL, last.t + 3 * INTERVAL - due)
    assert network.of("n2", HeartbeatSent)[-1].seq == last.seq + 3
    network.run(10 * INTERVAL)
    missed = [(event.peer, event.seq) for event in network.of("n1", HeartbeatMissed)]
    assert missed == [("n2", last.seq + 1), ("n2", last.seq + 2)]
    assert network.of("n2", MembershipCleared) == []


def test_what_has_arrived_is_read_before_the_silent_are_judged() -> None:
    """A node that wakes late finds its peers' heartbeats in its socket: none of them is missed."""
    network = Network()
    network.run(5 * INTERVAL)
    network.silent.add("n1")
    network.run(15 * INTERVAL)
    network.silent.clear()
    network.take_turn("n1")
    assert network.of("n1", HeartbeatMissed) == []
    assert network.of("n1", MembershipSuspected) == []


def swim() -> SwimSettings:
    return SwimSettings(protocol_period_ns=INTERVAL, ping_timeout_ns=INTERVAL // 2)


def test_a_probe_that_is_not_answered_is_a_miss_with_both_tags() -> None:
    network = Network(swim())
    network.run(10 * INTERVAL)
    assert network.of("n1", HeartbeatMissed) == []
    quiet = [event for event in network.of("n1", HeartbeatSent) if event.t > 5 * INTERVAL]
    assert {event.what for event in quiet} == {"ping", "ack"}
    network.silent.add("n3")
    network.run(20 * INTERVAL)
    miss = network.of("n1", HeartbeatMissed)[0]
    assert miss.probe == tag_of(0, 0, miss.seq, Kind.PING)
    assert miss.tag == tag_of(2, 0, miss.seq, Kind.ACK)
    assert miss.probe in {event.tag for event in network.of("n1", HeartbeatSent)}


def test_a_ping_that_waited_too_long_for_its_answer_is_lateness() -> None:
    network = Network(swim())
    network.run(10 * INTERVAL)
    ping = next(iter(_pings(network, "n2")))
    node = HeartbeatNode(settings("n1", detector=swim()), network.now)
    lateness = settings("n1", detector=swim()).lateness_ns
    now = network.now + 1
    for waited, told in ((lateness, 0), (lateness + 1, 1)):
        turn = node.turn(now, [Arrival(ping, "n2", now - waited)])
        assert sum(isinstance(event, HeartbeatLate) for event in turn.events) == told


def _pings(network: Network, name: str) -> Iterator[bytes]:
    while True:
        network.now = network.nodes[name].next_turn_ns()
        for datagram in network.take_turn(name).datagrams:
            if datagram.kind is Kind.PING:
                yield datagram.payload


def test_a_ring_that_brings_nothing_is_told_and_nothing_is_missed() -> None:
    sender, receiver = (
        HeartbeatNode(settings("n2"), 0),
        HeartbeatNode(settings("n1", of=TwoRings), 0),
    )
    events: list[Event] = []
    for _ in range(30):
        now = sender.next_turn_ns()
        for datagram in sender.turn(now).datagrams:
            copies = [Arrival(datagram.payload, "n2", now + ring, ring) for ring in (1, 0)]
            brought = copies if datagram.seq <= 2 else copies[:1]
            events += receiver.turn(now + 1, brought).events
    downs = [event for event in events if isinstance(event, RingDown)]
    assert [(down.ring, down.peer) for down in downs] == [(0, "n2")]
    assert downs[0].since is not None
    assert downs[0].since < downs[0].t
    assert not any(isinstance(e, HeartbeatMissed) and e.peer == "n2" for e in events)


def test_a_datagram_is_reported_as_what_it_is() -> None:
    ack = Datagram(("n2", "n3"), Kind.ACK, 7, bytes(range(40)))
    assert sent(ack, 5, ["n2"], ["n3"]) == HeartbeatSent(
        t=5, seq=7, peers=["n2"], tag="0001020304050607", failed=["n3"], what="ack"
    )


def test_the_same_settings_and_arrivals_give_the_same_turns() -> None:
    def history() -> Mapping[str, list[Event]]:
        network = Network(swim())
        network.run(10 * INTERVAL)
        network.silent.add("n2")
        network.run(30 * INTERVAL)
        return network.events

    assert history() == history()
