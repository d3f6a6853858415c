"""What Lifeguard adds to SWIM."""

from __future__ import annotations

import random

import pytest

from nodes.membership.datagram import Kind
from nodes.membership.detector import Message, State, Update
from nodes.membership.detectors.lifeguard import Lifeguard
from nodes.membership.detectors.settings import LifeguardSettings, SwimSettings
from tests.unit.test_swim_detector import sent, suspect

I = 1_000_000  # noqa: E741 (the interval)
SETTINGS = LifeguardSettings.preset(I)


def lifeguard(peers: int, **more: int) -> Lifeguard:
    """n1, which has heard of all its peers once."""
    chance = random.Random(1)  # noqa: S311
    one = Lifeguard("n1", LifeguardSettings.preset(I, **more), 0, chance)
    for number in range(peers):
        one.watch(f"n{number + 2}", 0)
        one.received(f"n{number + 2}", Message(Kind.GOSSIP, 0), 0)
    return one


def fail_a_probe(one: Lifeguard, seq: int, at_ns: int, nacks: int) -> None:
    """A period in which the target does not answer, and so many helpers say so."""
    one.advance(at_ns)
    one.beat(seq, at_ns, news=False)
    one.outgoing()
    timeout = SETTINGS.probe_timeout_ns * (one.health + 1)
    one.advance(at_ns + timeout + 1)
    for helper, request in sent(one, Kind.PING_REQ)[:nacks]:
        nack = Message(Kind.NACK, request.seq, request.about)
        one.received(helper, nack, at_ns + timeout + 2)
    one.advance(at_ns + I * (one.health + 1))
    one.beat(seq + 1, at_ns + I * (one.health + 1), news=False)


class TestHealth:
    def test_helpers_that_say_nothing_count_against_it(self) -> None:
        one = lifeguard(5)
        fail_a_probe(one, 1, I, nacks=1)
        assert one.health == 2

    def test_helpers_that_say_so_do_not(self) -> None:
        one = lifeguard(5)
        fail_a_probe(one, 1, I, nacks=3)
        assert one.health == 0

    def test_a_failed_probe_without_helpers_does(self) -> None:
        one = lifeguard(1)
        fail_a_probe(one, 1, I, nacks=0)
        assert one.health == 1

    def test_having_to_refute_does(self) -> None:
        one = lifeguard(2)
        one.received("n2", suspect("n1"), I)
        assert one.health == 1

    def test_it_has_a_worst(self) -> None:
        one = lifeguard(2)
        for refuted in range(20):
            one.received("n2", suspect("n1", refuted=refuted), I)
        assert one.health == SETTINGS.awareness_max_multiplier - 1

    def test_a_late_node_probes_and_waits_more_slowly_until_answers_come(self) -> None:
        one = lifeguard(2)
        for refuted in range(2):
            one.received("n2", suspect("n1", refuted=refuted), 0)
        probed = []
        for seq in range(1, 20):
            one.advance(seq * I)
            one.beat(seq, seq * I, news=False)
            for target, ping in sent(one, Kind.PING):
                probed.append(ping.seq)
                late = Message(Kind.ACK, seq, target)
                # Late by a healthy node's timeout, and in time by this one's.
                at_ns = seq * I + SETTINGS.probe_timeout_ns + (I // 4 if one.health else 0)
                assert one.received(target, late, at_ns) == []
        assert probed[:6] == [1, 4, 6, 7, 8, 9]
        assert one.health == 0


class TestSuspicion:
    def test_it_lasts_the_longest_while_nobody_shares_it(self) -> None:
        assert SETTINGS.suspicion_ns(10, 0) == 24 * I
        assert SETTINGS.suspicion_ns(10, 2) == SETTINGS.suspicion_ns(10, 9) == 4 * I
        assert 4 * I < SETTINGS.suspicion_ns(10, 1) < 24 * I

    def test_it_grows_with_the_decades_of_nodes(self) -> None:
        assert SETTINGS.least_suspicion_ns(100) == 8 * I
        assert SETTINGS.as_swim().transmissions(99) == 8

    @pytest.mark.parametrize("nodes", [2, 3])
    def test_few_nodes_cannot_confirm_so_it_is_short(self, nodes: int) -> None:
        assert SETTINGS.suspicion_ns(nodes, 0) == 4 * I

    def test_each_other_node_counts_once(self) -> None:
        one = lifeguard(6)
        one.received("n2", suspect("n7", by="n2"), 0)
        assert one.next_deadline_ns() is not None
        for _ in range(3):
            one.received("n3", suspect("n7", by="n3"), 0)
        assert one.advance(4 * I + 1) == []
        one.received("n4", suspect("n7", by="n4"), 5 * I)
        (death,) = one.advance(5 * I + 1)
        assert death.peer == "n7"


def test_the_suspect_is_told_with_the_next_ping_however_often_it_was_told_before() -> None:
    one = lifeguard(1)
    one.received("n2", suspect("n2", by="n2"), 0)
    told = []
    for seq in range(1, 9):
        one.beat(seq, seq, news=False)
        told += [message.updates for _, message in sent(one, Kind.PING)]
        one.received("n2", Message(Kind.ACK, seq, "n2"), seq)
    assert len(told) == 8
    for updates in told:
        assert [(one.peer, one.state) for one in updates] == [("n2", State.SUSPECT)]


def test_a_helper_says_when_it_got_no_answer() -> None:
    one = lifeguard(2)
    one.received("n2", Message(Kind.PING_REQ, 9, "n3"), 0)
    at_ns = int(SETTINGS.probe_timeout_ns * 0.8)
    one.advance(at_ns)
    assert sent(one, Kind.NACK) == []
    one.advance(at_ns + 1)
    ((to, nack),) = sent(one, Kind.NACK)
    assert (to, nack.seq, nack.about) == ("n2", 9, "n3")


def test_rumours_are_gossiped_between_probes() -> None:
    one = lifeguard(8)
    one.received("n2", suspect("n3", by="n2"), 0)
    assert one.next_deadline_ns() == SETTINGS.gossip_interval_ns
    one.advance(SETTINGS.gossip_interval_ns + 1)
    told = sent(one, Kind.GOSSIP)
    assert len({to for to, _ in told}) == SETTINGS.gossip_nodes
    assert all(Update("n3", State.SUSPECT, 0, "n2") in message.updates for _, message in told)


def test_the_presets_are_the_published_defaults_at_the_published_intervals() -> None:
    second = 1_000_000_000
    assert LifeguardSettings.preset(second) == LifeguardSettings(
        probe_interval_ns=second,
        probe_timeout_ns=second // 2,
        indirect_checks=3,
        suspicion_mult=4,
        suspicion_max_timeout_mult=6,
        awareness_max_multiplier=8,
        retransmit_mult=4,
        gossip_interval_ns=second // 5,
        gossip_nodes=3,
    )
    assert SwimSettings.preset(2 * second).ping_timeout_ns == second // 2
