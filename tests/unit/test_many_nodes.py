"""Clusters of one process: of more nodes than datagrams have room for, by values without bytes."""

from __future__ import annotations

import heapq
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crunchbed.checks.split_brain import split_brains
from nodes.membership.actions import Standing
from nodes.membership.cluster import Cluster
from nodes.membership.datagram import Kind, Tag, encode, parse_tag, size_of, tag_of
from nodes.membership.detector import State
from nodes.membership.detectors.known import Draws
from nodes.membership.detectors.peers import Peers
from nodes.membership.detectors.settings import SwimSettings
from nodes.membership.fences import FenceAnswer
from nodes.membership.order import Order
from nodes.membership.protocol import Datagram
from nodes.membership.rings import Arrival
from nodes.membership.roster import Roster
from nodes.membership.settings import HeartbeatSettings, Peer
from nodes.membership.turn import HeartbeatNode, sent
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import HeartbeatSent
from reserve_agent.contract.events.membership import ViewInstalled
from tests.unit.heartbeat_sequences import DETECTORS, Network
from tests.unit.recording import Recording

SECOND = 1_000_000_000


class Noted(Network):
    """A network that keeps what its nodes do, with nothing of a datagram's bytes but the tag."""

    def _note(self, *what: object) -> None:
        self.noted = [*getattr(self, "noted", []), what]

    def _told(self, datagram: Datagram) -> tuple[object, ...]:
        return datagram.to, int(datagram.kind), datagram.seq, datagram.payload[:8]


@pytest.mark.parametrize("kind", DETECTORS)
def test_nodes_do_the_same_by_values_as_by_bytes(kind: str) -> None:
    for number in range(3):
        by_bytes = Noted(f"values {number}", kind)
        by_values = Noted(f"values {number}", kind, values=True)
        by_bytes.run(25)
        by_values.run(25)
        assert by_values.noted == by_bytes.noted


def test_bytes_have_room_for_few() -> None:
    names = {f"n{i}": i for i in range(65)}
    node = HeartbeatSettings(
        node="n64",
        index=64,
        peers={name: Peer(i) for name, i in names.items() if i < 64},
        interval_ns=SECOND,
        misses=3,
    )
    with pytest.raises(ValueError, match="under 64"):
        HeartbeatNode(node, 0)
    HeartbeatNode(node, 0, Cluster(Roster(names)))


@pytest.mark.parametrize("sender", [0, 63, 64, 255, 256, 9_999])
def test_every_sender_has_a_tag(sender: int) -> None:
    tag = tag_of(sender, 3, 77)
    assert parse_tag(tag) == Tag(sender, 3, 77)
    assert len(tag) == (16 if sender < 64 else 24)


def test_a_value_is_as_long_as_its_bytes() -> None:
    network = Network("size", "swim", values=True)
    assert network.cluster is not None
    said = [
        datagram.said
        for node in network.nodes.values()
        for datagram in node.turn(node.next_turn_ns()).datagrams
        if datagram.said is not None
    ]
    assert said
    for one in said:
        assert one.size == len(encode(network.cluster.roster.written(one, 0)))
    assert size_of(Kind.PING, 10_000, 2) < 100


class Crowd:
    """A settled cluster of which nodes may die, be fenced and boot again."""

    def __init__(self, size: int) -> None:
        self.names = [f"n{number + 1}" for number in range(size)]
        self.cluster = Cluster(Roster({n: i for i, n in enumerate(self.names)}), settled=True)
        self.now = 0
        self.queue: list[tuple[int, int, str, Arrival | FenceAnswer | None]] = []
        self.pushed = 0
        self.events: list[tuple[str, Event]] = []
        self.fenced: list[str] = []
        self.nodes: dict[str, HeartbeatNode] = {}
        for name in self.names:
            self.boot(name, 0)

    def boot(self, name: str, incarnation: int) -> None:
        index = self.names.index(name)
        node = HeartbeatSettings(
            node=name,
            index=index,
            peers={},
            interval_ns=SECOND,
            misses=3,
            incarnation=incarnation,
            joining=incarnation > 0,
            phase_ns=index * SECOND // len(self.names),
            detector=SwimSettings.preset(SECOND, suspicion_mult=1),
        )
        self.nodes[name] = HeartbeatNode(node, self.now, self.cluster)
        self.events += [(name, event) for event in self.nodes[name].started(self.now)]
        self.push(self.nodes[name].next_turn_ns(), name, None)

    def push(self, at_ns: int, name: str, what: Arrival | FenceAnswer | None) -> None:
        self.pushed += 1
        heapq.heappush(self.queue, (at_ns, self.pushed, name, what))

    def run(self, until: int) -> None:
        while self.queue[0][0] <= until:
            self.now, _, name, what = heapq.heappop(self.queue)
            if name in self.nodes:
                self.turn(name, what)

    def turn(self, name: str, what: Arrival | FenceAnswer | None) -> None:
        node = self.nodes[name]
        arrivals = [what] if isinstance(what, Arrival) else []
        turn = node.turn(self.now, arrivals, [what] if isinstance(what, FenceAnswer) else [])
        self.events += [(name, event) for event in turn.events]
        for datagram in turn.datagrams:
            self.events.append((name, sent(datagram, self.now, datagram.to, ())))
            arrival = Arrival(datagram.payload, name, self.now + SECOND // 1000, said=datagram.said)
            for peer in datagram.to:
                self.push(arrival.at_ns, peer, arrival)
        for request in turn.fences:
            self.fenced.append(request.target)
            self.nodes.pop(request.target, None)
            answer = FenceAnswer(request.target, request.view, True, self.now)
            self.push(self.now + SECOND // 100, name, answer)
        if what is None:
            self.push(max(node.next_turn_ns(), self.now + 1), name, None)

    def views(self) -> set[tuple[int, int]]:
        """Numbers and sizes of the views that the nodes hold."""
        held = [node.membership for node in self.nodes.values()]
        assert {one.standing for one in held} == {Standing.MEMBER}
        return {(one.view.number, len(one.view.members)) for one in held}


def test_of_many_nodes_a_dead_one_is_ejected_and_comes_back() -> None:
    crowd = Crowd(66)
    crowd.run(3 * SECOND)
    assert crowd.views() == {(1, 66)}
    assert {event.what for _, event in crowd.events if isinstance(event, HeartbeatSent)} == {
        "ping",
        "ack",
    }, "nobody has to be told anything"
    del crowd.nodes["n30"]
    crowd.run(30 * SECOND)
    assert crowd.fenced == ["n30"]
    assert crowd.views() == {(2, 65)}
    crowd.boot("n30", 1)
    crowd.run(40 * SECOND)
    assert crowd.views() == {(3, 66)}
    assert crowd.fenced == ["n30"]
    views = [event for _, event in crowd.events if isinstance(event, ViewInstalled)]
    assert {(one.size, one.names, one.removed) for one in views} == {
        (66, (), ()),
        (65, (), ("n30",)),
    }
    news = [e for _, e in crowd.events if isinstance(e, HeartbeatSent) and e.what == "gossip"]
    assert {event.peers for event in news} == {65, ("n1",)}, "the coordinator, or it alone"
    members = [event for event in news if event.peers != 65]
    assert len(news) - len(members) < 20 < len(members) < 66 * 20, "in all, not each to all"


def test_views_that_say_how_many_they_hold_are_told_apart() -> None:
    """Of 70 nodes the first 35 eject the others, and the other way round."""
    names = [f"n{number + 1}" for number in range(70)]
    recording = Recording().complete()
    for name in names:
        recording.add(10, "membership.view", name, number=1, members=70)
    for name in names[:35]:
        recording.add(2000, "membership.view", name, number=2, members=35, removed=names[35:])
    assert split_brains(recording.history()) == []
    for name in names[35:]:
        recording.add(2100, "membership.view", name, number=2, members=35, removed=names[:35])
    (line,) = split_brains(recording.history())
    assert line.startswith("split brain: n1, n2, n3, ")
    for name in names[1:]:  # booted again, and admitted by a view that adds all
        recording.add(3000, "membership.view", name, number=3, members=70, added=names)
    assert len(split_brains(recording.history())) == 1


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32), st.booleans())
def test_peers_are_found_as_a_list_would_find_them(seed: int, settled: bool) -> None:
    chance = random.Random(seed)  # noqa: S311
    names = [f"n{number}" for number in range(12)]
    peers = Peers(Order(names), "n3") if settled else Peers()
    watched = [name for name in names if name != "n3"] if settled else []
    states = dict.fromkeys(watched, State.ALIVE)
    for _ in range(60):
        name = chance.choice([one for one in names if one != "n3"])
        draw = chance.random()
        if draw < 0.3:
            peers.watch(name, 0)
            states.pop(name, None)
            states[name] = State.ALIVE
        elif draw < 0.45:
            peers.forget(name)
            states.pop(name, None)
        elif name in states:
            states[name] = chance.choice(list(State))
            peers.change(name, states[name])
        dead = [one for one, state in states.items() if state is State.DEAD]
        assert list(peers.all()) == list(states)
        assert list(peers.not_dead()) == [one for one in states if one not in dead]
        assert peers.dead() == dead
        assert len(peers) == len(states)
        assert peers.any_not_dead == (len(dead) < len(states))
        for one in states:
            fit = [o for o, state in states.items() if o != one and state is State.ALIVE]
            assert list(peers.fit_but(one)) == fit
            assert peers[one].state is states[one]
        assert all((one in peers) == (one in states) for one in names)


def test_drawn_rounds_are_rounds() -> None:
    """Everybody once a round, in an order as likely as any other; a newcomer in this round."""
    order = Order(f"n{number}" for number in range(5))
    firsts: Counter[str | None] = Counter()
    for seed in range(400):
        peers = Peers(order, "n0")
        rounds = Draws(random.Random(seed))  # noqa: S311
        one = [rounds.next(peers) for _ in range(4)]
        assert sorted(filter(None, one)) == ["n1", "n2", "n3", "n4"]
        firsts[one[0]] += 1
        again = [rounds.next(peers) for _ in range(2)]
        peers.watch("n9", 0)
        rounds.insert("n9", peers)
        peers.change("n1", State.DEAD)
        again += [rounds.next(peers) for _ in range(3 - ("n1" not in again))]
        assert {"n2", "n3", "n4", "n9"} <= set(again)
    assert min(firsts.values()) > 70, "of 400 each of the four has about 100"
