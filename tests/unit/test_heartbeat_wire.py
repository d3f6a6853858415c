"""The heartbeat datagram, and its translation to names."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.membership.datagram import (
    MAX_BYTES,
    MAX_NODES,
    MAX_RUMOURS,
    TAG_BYTES,
    Heartbeat,
    Kind,
    MalformedHeartbeat,
    Tag,
    decode,
    encode,
    parse_tag,
    tag_of,
)
from nodes.membership.detector import Message, State, Update
from nodes.membership.roster import Roster
from nodes.membership.views import NO_VIEW, Gossip, Member, View

BITMAPS = st.integers(0, 2**64 - 1)
INDEXES = st.integers(0, 63)


@st.composite
def heartbeats(draw: st.DrawFn) -> Heartbeat:
    members = draw(BITMAPS)
    count = members.bit_count()
    incarnations = draw(st.lists(st.integers(0, 65535), min_size=count, max_size=count))
    return Heartbeat(
        sender=draw(INDEXES),
        incarnation=draw(st.integers(0, 65535)),
        seq=draw(st.integers(0, 2**32 - 1)),
        view=draw(st.integers(0, 2**32 - 1)),
        members=members,
        suspects=draw(BITMAPS),
        sent_ns=draw(st.integers(0, 2**64 - 1)),
        joining=draw(st.booleans()),
        follows=draw(st.none() | INDEXES),
        author=draw(st.none() | INDEXES),
        incarnations=tuple(incarnations),
    )


@settings(deadline=None)
@given(heartbeats())
def test_what_is_encoded_is_decoded(heartbeat: Heartbeat) -> None:
    payload = encode(heartbeat)
    assert decode(payload) == heartbeat
    assert len(payload) <= MAX_BYTES


@settings(deadline=None)
@given(heartbeats())
def test_the_first_eight_bytes_are_the_tag(heartbeat: Heartbeat) -> None:
    tag = encode(heartbeat)[:TAG_BYTES].hex()
    assert tag == tag_of(heartbeat.sender, heartbeat.incarnation, heartbeat.seq)
    assert parse_tag(tag) == Tag(heartbeat.sender, heartbeat.incarnation, heartbeat.seq)


def test_the_tag_is_as_documented() -> None:
    assert tag_of(2, 1, 258) == "c102" + "0001" + "00000102"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        heartbeat = decode(payload)
    except MalformedHeartbeat:
        return
    assert encode(heartbeat) == payload


@settings(deadline=None)
@given(heartbeats(), st.data())
def test_a_damaged_heartbeat_is_read_or_refused(heartbeat: Heartbeat, data: st.DataObject) -> None:
    payload = bytearray(encode(heartbeat))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    cut = bytes(payload[: data.draw(st.integers(0, len(payload)))])
    for damaged in (bytes(payload), cut):
        try:
            assert encode(decode(damaged)) == damaged
        except MalformedHeartbeat:
            continue


def test_a_heartbeat_with_more_behind_it_is_refused() -> None:
    with pytest.raises(MalformedHeartbeat):
        decode(encode(ROSTER.heartbeat("n1", 1, 0, GOSSIP)) + bytes(2))


@pytest.mark.parametrize(
    "offset, value", [(0, 0xC0), (1, 64), (36, 2), (37, 64), (38, 200), (39, 1)]
)
def test_fields_out_of_range_are_refused(offset: int, value: int) -> None:
    payload = bytearray(encode(ROSTER.heartbeat("n1", 1, 0, GOSSIP)))
    payload[offset] = value
    with pytest.raises(MalformedHeartbeat):
        decode(bytes(payload))


@pytest.mark.parametrize(
    "tag", ["", "c1", "zz" * 8, tag_of(1, 0, 1) + "00", "c0" + "00" * 7, "c140" + "00" * 6]
)
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(MalformedHeartbeat):
        parse_tag(tag)


ROSTER = Roster({"n1": 0, "n2": 1, "n10": 9})
VIEW = View(4, (Member("n1", 0), Member("n10", 3)), "n1")
GOSSIP = Gossip(0, VIEW, frozenset({"n10"}), "n1", joining=False)


class TestRoster:
    def test_order_is_by_index(self) -> None:
        assert Roster({"n10": 9, "n2": 1, "n1": 0}).order == ("n1", "n2", "n10")

    @pytest.mark.parametrize(
        "gossip", [GOSSIP, Gossip(2, NO_VIEW, frozenset(), None, joining=True)]
    )
    def test_gossip_survives_the_wire(self, gossip: Gossip) -> None:
        payload = encode(ROSTER.heartbeat("n2", 5, 123, gossip))
        heartbeat = decode(payload)
        assert ROSTER.gossip(heartbeat) == gossip
        assert ROSTER.gossip(heartbeat).view.author == gossip.view.author
        assert (heartbeat.sender, heartbeat.seq, heartbeat.sent_ns) == (1, 5, 123)

    def test_equal_views_are_one_object(self) -> None:
        one = ROSTER.gossip(decode(encode(ROSTER.heartbeat("n1", 1, 0, GOSSIP))))
        two = ROSTER.gossip(decode(encode(ROSTER.heartbeat("n2", 9, 7, GOSSIP))))
        assert one.view is two.view

    @pytest.mark.parametrize(
        "change",
        [{"members": 0b101}, {"suspects": 1 << 63}, {"follows": 5}, {"author": 5}, {"view": 0}],
    )
    def test_unknown_nodes_are_refused(self, change: dict[str, int]) -> None:
        heartbeat = ROSTER.heartbeat("n1", 1, 0, GOSSIP)._replace(**change)  # type: ignore[arg-type]
        with pytest.raises(MalformedHeartbeat):
            ROSTER.gossip(heartbeat)

    def test_two_nodes_of_one_index_are_refused(self) -> None:
        with pytest.raises(ValueError, match="indexes must differ"):
            Roster({"n1": 0, "n2": 0})


class TestProbes:
    MESSAGE = Message(
        Kind.ACK,
        1 << 31,
        "n10",
        3,
        (Update("n10", State.SUSPECT, 2, "n1"), Update("n2", State(0), 1)),
    )
    BOOTS: ClassVar[dict[str, int]] = {"n1": 0, "n2": 4, "n10": 3}

    def payload(self) -> bytes:
        return encode(ROSTER.datagram("n1", 5, GOSSIP, self.MESSAGE, self.BOOTS))

    def test_a_probe_survives_the_wire_with_its_gossip(self) -> None:
        heartbeat = decode(self.payload())
        assert ROSTER.message(heartbeat, self.BOOTS) == self.MESSAGE
        assert ROSTER.gossip(heartbeat) == GOSSIP
        assert len(self.payload()) <= MAX_BYTES

    def test_rumours_of_another_boot_are_not_heard(self) -> None:
        heard = ROSTER.message(decode(self.payload()), {**self.BOOTS, "n10": 4})
        assert [update.peer for update in heard.updates] == ["n2"]

    def test_each_kind_has_its_tag(self) -> None:
        payload = self.payload()
        assert payload[:TAG_BYTES].hex() == tag_of(0, 0, 1 << 31, Kind.ACK)
        with pytest.raises(MalformedHeartbeat):
            parse_tag(tag_of(7, 2, 9, Kind.PING))

    @given(st.data())
    def test_a_damaged_one_is_read_or_refused(self, data: st.DataObject) -> None:
        payload = bytearray(self.payload())
        payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
        cut = bytes(payload[: data.draw(st.integers(0, len(payload)))])
        for damaged in (bytes(payload), cut):
            try:
                assert encode(decode(damaged)) == damaged
            except MalformedHeartbeat:
                continue

    def test_the_largest_fits(self) -> None:
        nodes = {f"n{i}": i for i in range(MAX_NODES)}
        roster = Roster(nodes)
        view = View(1, tuple(Member(name, 1) for name in nodes))
        updates = tuple(Update(f"n{i}", State.DEAD, 9, "n1") for i in range(MAX_RUMOURS))
        gossip = Gossip(1, view, frozenset(), None, joining=False)
        message = Message(Kind.GOSSIP, 1, None, 0, updates)
        boots = dict.fromkeys(nodes, 1)
        payload = encode(roster.datagram("n0", 0, gossip, message, boots))
        assert len(payload) == MAX_BYTES
        assert roster.message(decode(payload), boots) == message
