"""What the controller makes of pressure messages, and what an agent says when."""

from __future__ import annotations

import pytest

from reserve_agent.controller.board import LEASE_NS, Change, PressureBoard
from reserve_agent.controller.pressure import Kind, PressureMessage, Refused, decode, encode
from reserve_agent.pressure_report import (
    REPEAT_NS,
    ControllerAddress,
    PressureReport,
    PressureSender,
)

TOKEN = bytes(range(32))
MS = 1_000_000


def board() -> PressureBoard:
    return PressureBoard(TOKEN, ["n1", "n2"])


def said(kind: Kind, sequence: int, at: int, node: str = "n1") -> bytes:
    return encode(PressureMessage(kind, node, sequence, at), TOKEN)


def test_pressure_begins_and_ends() -> None:
    one = board()
    assert one.receive(said(Kind.ENTER, 1, 10), 12) == Change("n1", True, 1, 10, 12)
    assert one.pressed == {"n1"}
    assert one.receive(said(Kind.ENTER, 2, 10), 13) is None, "said again"
    assert one.receive(said(Kind.LEAVE, 3, 20), 22) == Change("n1", False, 1, 20, 22)
    assert one.receive(said(Kind.LEAVE, 4, 20), 23) is None
    assert one.pressed == set()
    assert one.receive(said(Kind.ENTER, 5, 30), 31) == Change("n1", True, 2, 30, 31)


def test_nodes_have_nothing_to_do_with_each_other() -> None:
    one = board()
    one.receive(said(Kind.ENTER, 9, 10), 12)
    assert one.receive(said(Kind.ENTER, 1, 11, "n2"), 12) == Change("n2", True, 1, 11, 12)
    one.receive(said(Kind.LEAVE, 10, 20), 22)
    assert one.pressed == {"n2"}


def test_an_episode_that_follows_before_the_end_was_heard_is_another_one() -> None:
    one = board()
    one.receive(said(Kind.ENTER, 1, 10), 12)
    assert one.receive(said(Kind.ENTER, 2, 15), 16) == Change("n1", True, 2, 15, 16)


def test_what_was_heard_before_is_refused() -> None:
    one = board()
    enter = said(Kind.ENTER, 5, 10)
    one.receive(enter, 12)
    one.receive(said(Kind.LEAVE, 6, 20), 22)
    for datagram in (enter, said(Kind.ENTER, 6, 30), said(Kind.ENTER, 4, 30)):
        with pytest.raises(Refused, match="repeated"):
            one.receive(datagram, 31)
    assert one.pressed == set()


def test_a_stranger_is_refused() -> None:
    with pytest.raises(Refused, match="unknown node"):
        board().receive(said(Kind.ENTER, 1, 10, "n9"), 12)
    with pytest.raises(Refused, match="wrong token"):
        PressureBoard(bytes(32), ["n1"]).receive(said(Kind.ENTER, 1, 10), 12)


def test_an_agent_that_falls_silent_sheds_no_longer() -> None:
    one = board()
    one.receive(said(Kind.ENTER, 1, 10), 100)
    one.receive(said(Kind.ENTER, 2, 10), 200)
    assert one.lapsed(200 + LEASE_NS) == []
    late = 201 + LEASE_NS
    assert one.lapsed(late) == [Change("n1", False, 1, late, late)]
    assert one.lapsed(late + 1) == []
    assert REPEAT_NS * 5 < LEASE_NS, "a few lost datagrams are not silence"


def test_an_agent_says_what_changes_and_repeats_it() -> None:
    report = PressureReport("n1")
    assert report.due(None, 5 * MS) is None
    first = report.due(7 * MS, 8 * MS)
    assert first == PressureMessage(Kind.ENTER, "n1", 8 * MS, 7 * MS)
    assert report.due(7 * MS, 10 * MS) is None
    again = report.due(7 * MS, 8 * MS + REPEAT_NS)
    assert again == PressureMessage(Kind.ENTER, "n1", 8 * MS + REPEAT_NS, 7 * MS)
    other = report.due(200 * MS, 201 * MS)
    assert other == PressureMessage(Kind.ENTER, "n1", 201 * MS, 200 * MS)


def test_the_end_is_said_three_times_and_then_no_more() -> None:
    report = PressureReport("n1")
    report.due(7 * MS, 8 * MS)
    times = range(10 * MS, 1000 * MS, 2 * MS)
    said = [message for now in times if (message := report.due(None, now)) is not None]
    assert [message.kind for message in said] == [Kind.LEAVE] * 3
    assert {message.pressure_at for message in said} == {10 * MS}
    assert said[1].sequence - said[0].sequence == REPEAT_NS


def test_numbers_grow_whatever_the_clock_does() -> None:
    report = PressureReport("n1")
    messages = [report.due(since, 50) for since in (1, 2, 3)]
    assert [message.sequence for message in messages if message] == [50, 51, 52]


def test_a_controller_that_is_away_is_no_error() -> None:
    """Nobody listens there: the kernel says so on the second datagram."""
    address = ControllerAddress("127.0.0.1", 1, TOKEN.hex())
    sender = PressureSender("n1", address)
    for since in range(1, 6):
        sender.tell(since, since)
    sender.close()
    assert TOKEN.hex() not in repr(address)


def test_a_message_of_a_sender_is_read_by_the_board() -> None:
    message = PressureReport("n2").due(7, 8)
    assert message is not None
    assert decode(encode(message, TOKEN), TOKEN) == message
