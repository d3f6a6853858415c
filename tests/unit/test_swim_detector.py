"""SWIM, one node of it at a time: what it sends, what it believes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.membership.datagram import MAX_RUMOURS, Kind
from nodes.membership.detector import (
    Clear,
    Detector,
    Finding,
    Message,
    Miss,
    State,
    Suspect,
    Update,
)
from nodes.membership.detectors.lifeguard import Lifeguard
from nodes.membership.detectors.settings import LifeguardSettings, SwimSettings
from nodes.membership.detectors.swim import Swim

I = 1_000_000  # noqa: E741 (the interval)
GRACE = 3 * I
SWIM = SwimSettings.preset(I)
LIFEGUARD = LifeguardSettings.preset(I)


def fresh(kind: type[Swim], seed: int = 1, **more: int) -> Swim:
    """n1, which watches nobody."""
    chance = random.Random(seed)  # noqa: S311
    if kind is Lifeguard:
        return Lifeguard("n1", LifeguardSettings.preset(I, **more), GRACE, chance)
    return Swim("n1", SwimSettings.preset(I, **more), GRACE, chance)


def swim(*peers: str, **more: int) -> Swim:
    """n1, which has heard of all its peers once."""
    one = fresh(Swim, **more)
    for peer in peers:
        one.watch(peer, 0)
        one.received(peer, Message(Kind.GOSSIP, 0), 0)
    return one


def sent(one: Detector, kind: Kind) -> list[tuple[str, Message]]:
    """What it sends of a kind now, by receiver."""
    return [
        (to, message)
        for names, message in one.outgoing()
        if message.kind is kind
        for to in names or ("all",)
    ]


def suspect(peer: str, by: str = "n9", refuted: int = 0) -> Message:
    return Message(Kind.GOSSIP, 0, updates=(Update(peer, State.SUSPECT, refuted, by),))


def dead(peer: str, refuted: int = 0) -> Message:
    return Message(Kind.GOSSIP, 0, updates=(Update(peer, State.DEAD, refuted, "n9"),))


def test_one_peer_is_probed_a_period_and_all_in_a_round() -> None:
    one = swim("n2", "n3", "n4")
    probed = []
    for seq in range(1, 4):
        one.beat(seq, seq * I, news=False)
        (ping,) = sent(one, Kind.PING)
        probed.append(ping[0])
        one.received(ping[0], Message(Kind.ACK, seq, ping[0]), seq * I + 10)
    assert sorted(probed) == ["n2", "n3", "n4"]
    assert one.outgoing() == []


def test_with_news_everybody_is_told_besides() -> None:
    one = swim("n2", "n3")
    one.beat(1, I, news=True)
    assert next((to, message.kind) for to, message in one.outgoing()) == (None, Kind.GOSSIP)


def test_a_ping_is_answered_with_its_own_number() -> None:
    one = swim("n2")
    one.received("n2", Message(Kind.PING, 77), I)
    ((to, ack),) = sent(one, Kind.ACK)
    assert (to, ack.seq, ack.about) == ("n2", 77, "n1")


class TestProbe:
    def failing(self, *peers: str, **more: int) -> tuple[Swim, str]:
        one = swim(*peers, **more)
        one.beat(5, I, news=False)
        ((target, _),) = sent(one, Kind.PING)
        return one, target

    def test_without_an_answer_it_is_a_miss_by_the_timeout_and_others_are_asked(self) -> None:
        one, target = self.failing("n2", "n3", "n4", ping_req_nodes=2)
        deadline = I + SWIM.ping_timeout_ns
        assert one.next_deadline_ns() == deadline
        assert one.advance(deadline) == []
        assert one.advance(deadline + 1) == [Miss(target, 5, deadline, probed=True)]
        asked = sent(one, Kind.PING_REQ)
        assert {to for to, _ in asked} == {"n2", "n3", "n4"} - {target}
        assert {(message.seq, message.about) for _, message in asked} == {(5, target)}

    def test_an_answer_in_time_is_no_miss_even_if_it_is_read_late(self) -> None:
        one, target = self.failing("n2", "n3")
        deadline = I + SWIM.ping_timeout_ns
        assert one.received(target, Message(Kind.ACK, 5, target), deadline) == []
        assert one.advance(2 * I) == []

    def test_a_late_answer_stays_a_miss_and_prevents_suspicion(self) -> None:
        one, target = self.failing("n2", "n3")
        (miss,) = one.received(target, Message(Kind.ACK, 5, target), I + I // 2)
        assert isinstance(miss, Miss)
        one.beat(6, 2 * I, news=False)
        assert not [f for f in one.advance(60 * I) if isinstance(f, Suspect)]

    def test_a_helpers_answer_prevents_suspicion(self) -> None:
        one, target = self.failing("n2", "n3")
        helper = next(iter({"n2", "n3"} - {target}))
        one.advance(I + I // 2)
        one.received(helper, Message(Kind.ACK, 5, target), I + I // 2)
        one.beat(6, 2 * I, news=False)
        assert all(message.updates == () for _, message in one.outgoing())

    def test_no_answer_at_all_is_a_suspicion_that_spreads_and_then_a_death(self) -> None:
        one, target = self.failing("n2", "n3")
        one.advance(I + I // 2)
        one.outgoing()
        one.beat(6, 2 * I, news=False)
        ((_, ping),) = sent(one, Kind.PING)
        assert ping.updates == (Update(target, State.SUSPECT, 0, "n1"),)
        dies = 2 * I + SWIM.suspicion_ns(3)
        assert not [f for f in one.advance(dies) if isinstance(f, Suspect)]
        assert one.advance(dies + 1) == [Suspect(target, 1, dies)]

    def test_the_answer_to_another_probe_is_none_to_this(self) -> None:
        one, target = self.failing("n2", "n3")
        one.received(target, Message(Kind.ACK, 4, target), I + 1)
        assert one.advance(I + I // 2) != []

    def test_a_peer_not_yet_heard_has_grace(self) -> None:
        one = fresh(Swim)
        one.watch("n2", 0)
        findings: list[Finding] = []
        for seq in range(1, 20):
            findings += one.advance(seq * I)
            one.beat(seq, seq * I, news=False)
        one.watch("n2", 100 * I)
        one.beat(100, 100 * I, news=False)
        one.received("n2", Message(Kind.GOSSIP, 0), 100 * I + 1)  # it came up since
        assert one.advance(101 * I) == []
        misses = [f.deadline_ns for f in findings if isinstance(f, Miss)]
        assert min(misses) > GRACE
        assert [f.peer for f in findings if isinstance(f, Suspect)] == ["n2"]


def test_a_helper_probes_for_another_and_hands_the_answer_on() -> None:
    one = swim("n2", "n3")
    one.received("n2", Message(Kind.PING_REQ, 9, "n3"), I)
    ((to, ping),) = sent(one, Kind.PING)
    assert to == "n3"
    assert ping.seq >= 1 << 31  # never the number of an interval
    one.received("n3", Message(Kind.ACK, ping.seq, "n3"), I + 10)
    ((to, ack),) = sent(one, Kind.ACK)
    assert (to, ack.seq, ack.about) == ("n2", 9, "n3")


class TestRefutation:
    def test_a_suspect_says_that_it_lives_with_a_higher_number(self) -> None:
        one = swim("n2")
        one.received("n2", suspect("n1"), I)
        one.received("n2", Message(Kind.PING, 1), I)
        ((_, ack),) = sent(one, Kind.ACK)
        assert ack.refuted == 1
        assert ack.updates == (Update("n1", State.ALIVE, 1),)
        one.received("n2", suspect("n1"), 2 * I)  # an old one: it has been refuted
        one.received("n2", Message(Kind.PING, 2), 2 * I)
        assert sent(one, Kind.ACK)[0][1].refuted == 1

    def test_a_refutation_ends_the_suspicion(self) -> None:
        one = swim("n2", "n3")
        one.received("n2", suspect("n3"), I)
        one.received("n2", Message(Kind.GOSSIP, 0, updates=(Update("n3", State.ALIVE, 1),)), 2 * I)
        assert one.advance(100 * I) == []

    def test_the_same_number_refutes_nothing(self) -> None:
        one = swim("n2", "n3")
        one.received("n2", suspect("n3"), I)
        one.received("n2", Message(Kind.GOSSIP, 0, updates=(Update("n3", State.ALIVE, 0),)), 2 * I)
        assert [type(f) for f in one.advance(100 * I)] == [Suspect]

    def test_an_older_suspicion_is_none(self) -> None:
        one = swim("n2", "n3")
        one.received("n3", Message(Kind.PING, 1, refuted=2), I)
        one.received("n2", suspect("n3", refuted=1), 2 * I)
        assert one.advance(100 * I) == []

    def test_one_held_for_dead_may_refute_that_too(self) -> None:
        one = swim("n2", "n3")
        assert one.received("n2", dead("n3"), I) == [Suspect("n3", 0, I)]
        assert one.received("n2", dead("n3"), I) == []
        assert one.received("n3", Message(Kind.PING, 1), 2 * I) == []
        assert one.received("n3", Message(Kind.PING, 2, refuted=1), 3 * I) == [Clear("n3", 3 * I)]

    def test_who_has_refuted_is_probed_and_may_be_suspected_anew(self) -> None:
        one = swim("n2")
        one.received("n2", dead("n2"), I)
        one.received("n2", Message(Kind.GOSSIP, 0, refuted=1), 2 * I)
        one.beat(3, 3 * I, news=False)
        assert [to for to, _ in sent(one, Kind.PING)] == ["n2"]
        one.received("n2", Message(Kind.ACK, 3, "n2", refuted=1), 3 * I)
        one.received("n2", suspect("n2", refuted=1)._replace(refuted=1), 4 * I)
        assert one.advance(100 * I) == [Suspect("n2", 0, 4 * I + SWIM.suspicion_ns(2))]

    def test_who_hears_of_its_own_death_tells_all_at_once_that_it_lives(self) -> None:
        one = swim("n2", "n3")
        one.received("n2", suspect("n1"), I)
        assert one.outgoing() == [], "a suspicion has time"
        one.received("n2", dead("n1", refuted=1), 2 * I)
        ((to, message),) = one.outgoing()
        assert (to, message.kind, message.refuted) == (None, Kind.GOSSIP, 2)
        one.received("n2", dead("n1", refuted=1), 3 * I)
        assert one.outgoing() == [], "it has said so"

    def test_many_dead_are_told_of_in_turn_and_leave_room_for_rumours(self) -> None:
        names = [f"n{number}" for number in range(2, 42)]
        one = swim(*names)
        for name in names[:30]:
            one.received("n41", dead(name), I)
        one.received("n41", suspect("n40"), I)
        told: set[str] = set()
        for seq in range(1, 9):
            one.beat(seq, seq * I, news=True)
            ((_, message),) = [o for o in one.outgoing() if o.message.kind is Kind.GOSSIP]
            assert len(message.updates) <= MAX_RUMOURS
            told |= {update.peer for update in message.updates}
        assert told == {*names[:30], "n40"}

    def test_the_dead_are_not_probed_and_are_told(self) -> None:
        one = swim("n2", "n3")
        one.received("n2", dead("n3"), I)
        for seq in range(1, 40):
            one.beat(seq, seq * I, news=True)
            told = one.outgoing()
            assert [to for to, message in told if message.kind is Kind.PING] == [("n2",)]
            one.received("n2", Message(Kind.ACK, seq, "n2"), seq * I + 1)
        assert told[0].message.updates == (Update("n3", State.DEAD, 0, "n1"),)

    def test_a_rumour_is_told_as_often_as_its_bound_says(self) -> None:
        one = swim("n2", "n3", "n4")
        one.received("n2", suspect("n3"), I)
        told = 0
        for seq in range(1, 30):
            one.received("n2", Message(Kind.PING, seq), I)
            told += sum(bool(message.updates) for _, message in sent(one, Kind.ACK))
        assert told == SWIM.transmissions(4) == 6


def test_a_peer_watched_anew_is_believed_to_live() -> None:
    one = swim("n2", "n3")
    one.received("n2", dead("n3", refuted=4), I)
    one.forget("n3")
    one.watch("n3", 2 * I)
    one.received("n3", Message(Kind.PING, 1), 2 * I)
    assert one.advance(100 * I) == []
    assert sent(one, Kind.ACK)[0][1].updates == ()


@pytest.mark.parametrize("kind", [Swim, Lifeguard])
@settings(deadline=None, max_examples=60)
@given(peers=st.integers(1, 12), delays=st.lists(st.floats(0, 1), min_size=1, max_size=80))
def test_who_always_answers_in_time_is_never_suspected(
    kind: type[Swim], peers: int, delays: list[float]
) -> None:
    """Delays up to the ping's timeout, which is included."""
    one = fresh(kind)
    timeout = LIFEGUARD.probe_timeout_ns if kind is Lifeguard else SWIM.ping_timeout_ns
    for number in range(peers):
        one.watch(f"n{number + 2}", 0)
    findings: list[Finding] = []
    for seq, delay in enumerate(delays, start=1):
        one.beat(seq, seq * I, news=False)
        ((target, _),) = sent(one, Kind.PING)
        at_ns = seq * I + int(delay * timeout)
        findings += one.received(target, Message(Kind.ACK, seq, target), at_ns)
        findings += one.advance(at_ns)
    assert findings == []


@pytest.mark.parametrize("kind", [Swim, Lifeguard])
@settings(deadline=None, max_examples=60)
@given(peers=st.integers(1, 12), seed=st.integers(0, 2**32), beats=st.integers(1, 40))
def test_a_silent_peer_is_held_for_dead_within_the_stated_bound(
    kind: type[Swim], peers: int, seed: int, beats: int
) -> None:
    """By one observer alone, to whom nobody else says anything of the silent one."""
    one = fresh(kind, seed)
    bound = (LIFEGUARD if kind is Lifeguard else SWIM).bound_ns(peers + 1)
    names = [f"n{number + 2}" for number in range(peers)]
    for name in names:
        one.watch(name, 0)
        one.received(name, Message(Kind.GOSSIP, 0), 0)
    silent_ns, seq = (beats + 1) * I, 0
    found: list[Finding] = []
    while not any(isinstance(finding, Suspect) for finding in found):
        seq += 1
        found += one.advance(seq * I)
        one.beat(seq, seq * I, news=False)
        for target, _ in sent(one, Kind.PING):
            if target != "n2" or seq * I < silent_ns:
                found += one.received(target, Message(Kind.ACK, seq, target), seq * I + 1)
        assert seq * I <= silent_ns + bound + I
    (suspicion,) = (finding for finding in found if isinstance(finding, Suspect))
    assert suspicion.peer == "n2"
    assert suspicion.at_ns <= silent_ns + bound
