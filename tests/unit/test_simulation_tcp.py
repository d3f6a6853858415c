"""TCP of the simulation: packets and rules alone, and two sockets with a wire between them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from crunchbed.backends.simulation.books import Books
from crunchbed.backends.simulation.loop import (
    START_NS,
    SimulatedLoop,
)
from crunchbed.backends.simulation.packet import Classes, Datagram, udp
from crunchbed.backends.simulation.tcp import QUEUED_BYTES, TcpSocket
from crunchbed.backends.simulation.tcp_packet import MSS, Ends, TcpPacket, blank
from crunchbed.backends.simulation.tcp_rules import (
    ACK_SEGMENTS,
    INITIAL_WINDOW,
    USUAL_BUNCH,
    Arrived,
    TimeOut,
    Window,
)
from reserve_agent.contract.packets import PacketClass, PortRule
from reserve_agent.model.packet import Segment

MS = 1_000_000
SECOND = 1_000_000_000

# --- packets


def test_several_frames_come_apart_into_what_each_would_have_been() -> None:
    rules = Classes([PortRule(7405, 17, PacketClass.HEARTBEAT)])
    beats = udp(rules, 42, 40000, 7405, source="10.77.0.1", destination="10.77.0.2", frames=3)
    assert (beats.cls, beats.bytes) == (PacketClass.HEARTBEAT, 84)
    assert [one.frames for one in beats.apart()] == [1, 1, 1]
    data = packet(segment=Segment(1, 2 * MSS + 10, 5), frames=3)
    assert [one.segment for one in data.apart()] == [
        Segment(1, MSS, MSS + 15),
        Segment(1 + MSS, MSS, 15),
        Segment(1 + 2 * MSS, 10, 5),
    ]
    assert data.first(2).segment == Segment(1, 2 * MSS, 5)
    answers = packet(acknowledged=1000, step=100, frames=3)
    assert [one.acknowledged for one in answers.apart()] == [800, 900, 1000]
    assert answers.first(1).acknowledged == 800


# --- the rules of TCP


def test_a_time_out_is_a_second_first_then_200_ms_and_doubles_up_to_two_minutes() -> None:
    time_out = TimeOut()
    assert time_out.ns == SECOND
    for _ in range(50):
        time_out.measure(MS)
    assert time_out.ns == pytest.approx(201 * MS, rel=0.01)
    time_out.backoff = 3
    assert time_out.ns == pytest.approx(8 * 201 * MS, rel=0.01)
    time_out.backoff = 40
    assert time_out.ns == 120 * SECOND


def test_a_window_doubles_at_first_halves_for_a_loss_and_collapses_without_answers() -> None:
    window = Window()
    assert not window.grow(MSS + 1, MSS, in_flight=MSS)
    assert window.bytes == INITIAL_WINDOW, "who sends little needs no larger one"
    assert not window.grow(INITIAL_WINDOW + 1, INITIAL_WINDOW, in_flight=INITIAL_WINDOW)
    assert window.bytes == 2 * INITIAL_WINDOW
    assert not window.duplicate(2, 20 * MSS, 50_000)
    assert window.duplicate(1, 20 * MSS, 50_000), "the third duplicate says that it is lost"
    assert window.bytes == 10 * MSS
    assert not window.duplicate(5, 20 * MSS, 50_000), "once in a recovery"
    assert window.grow(40_000, MSS, 20 * MSS), "a part of it: the next segment is lost too"
    assert not window.grow(50_000, MSS, 20 * MSS)
    window.collapse(20 * MSS)
    assert window.bytes == MSS


def test_what_arrives_beyond_a_hole_counts_once_the_hole_is_filled() -> None:
    arrived = Arrived()
    assert not arrived.add(101, 201)
    assert not arrived.add(301, 401)
    assert (arrived.expected, arrived.far) == (1, 101)
    assert arrived.add(1, 101)
    assert (arrived.expected, arrived.far) == (201, 301)
    assert not arrived.add(1, 101), "that was there already"
    assert arrived.add(201, 350)
    assert (arrived.expected, arrived.far) == (401, 0)


# --- two sockets and a wire between them

ENDS = Ends("10.77.0.1", 40000, "10.77.0.254", 10809, PacketClass.BLOCK_IO)


def packet(**fields: Any) -> TcpPacket:
    return blank(ENDS).changed(**fields)


class Wire:
    """A host for both ends: every packet takes 1 ms, unless ``loses`` says that it is lost."""

    def __init__(self, acknowledged_together: int = ACK_SEGMENTS) -> None:
        self.acknowledged_together = acknowledged_together
        self.loop = SimulatedLoop()
        self.loses: Callable[[TcpPacket], bool] = lambda _packet: False
        self.short = False  # there are no pages for what is sent
        self.sent: list[tuple[int, TcpPacket]] = []
        self.gone: list[TcpSocket] = []
        back = Ends(ENDS.peer, ENDS.peer_port, ENDS.address, ENDS.port, ENDS.cls)
        self.client = TcpSocket(self, ENDS, None)
        self.server = TcpSocket(self, back, None)
        self.got: list[tuple[int, object]] = []
        self.server.received = lambda message: self.got.append((self.now, message))

    @property
    def now(self) -> int:
        """Milliseconds since the begin."""
        return (self.loop.now_ns() - START_NS) // MS

    def send(self, packet: Datagram, _books: Books | None) -> int | None:
        assert isinstance(packet, TcpPacket)
        self.sent.append((self.now, packet))
        if self.short:
            return None
        if not self.loses(packet):
            to = self.server if packet.port == 10809 else self.client
            self.loop.at(self.loop.now_ns() + MS, lambda: to.arrive(packet))
        return self.loop.now_ns()

    def forget(self, socket: TcpSocket) -> None:
        self.gone.append(socket)

    def run(self, seconds: float) -> None:
        self.loop.run_until(lambda: False, seconds)

    def data(self) -> list[tuple[int, int, int]]:
        """Time, first byte and length of what the client has sent."""
        return [
            (at, one.segment.sequence, one.segment.bytes)
            for at, one in self.sent
            if one.segment.bytes and one.port == 10809
        ]


def connected(acknowledged_together: int = ACK_SEGMENTS) -> Wire:
    wire = Wire(acknowledged_together)
    wire.client.connect()
    wire.run(0.1)
    assert wire.client.open
    assert wire.server.open
    wire.sent.clear()
    return wire


def test_messages_arrive_in_order_and_every_second_segment_is_acknowledged() -> None:
    wire = connected()
    wire.client.write(4 * MSS, "one")
    wire.client.write(10, "two")
    wire.run(0.03)
    assert [message for _, message in wire.got] == ["one", "two"]
    answers = [one for _, one in wire.sent if one.port != 10809]
    assert [(one.frames, one.acknowledged) for one in answers] == [(2, 1 + 4 * MSS)]
    wire.run(0.03)
    late = [(at, one) for at, one in wire.sent if one.port != 10809][1:]
    assert [(at, one.acknowledged) for at, one in late] == [(141, 11 + 4 * MSS)], "40 ms later"


def test_a_repetition_that_finds_no_pages_is_tried_every_half_second() -> None:
    wire = connected()
    wire.short = True
    wire.client.write(100, "short")
    wire.run(2.5)
    times = [at for at, _, _ in wire.data()]
    assert [after - before for before, after in pairwise(times)][1:] == [500] * (len(times) - 2)
    assert len(times) >= 5
    wire.short = False
    wire.run(0.6)
    assert [message for _, message in wire.got] == ["short"]


def test_small_answers_wait_for_data_or_40_ms() -> None:
    wire = connected()
    for word in ("one", "two", "three"):
        wire.client.write(16, word)
    wire.run(0.03)
    assert [message for _, message in wire.got] == ["one", "two", "three"]
    assert [one for _, one in wire.sent if one.port != 10809] == []
    wire.run(0.03)
    assert [one.acknowledged for _, one in wire.sent if one.port != 10809] == [1 + 3 * 16]


def test_a_host_may_acknowledge_a_bunch_at_once_and_lets_no_pair_wait() -> None:
    wire = connected(USUAL_BUNCH)
    wire.client.write(4 * MSS, "one")
    wire.client.write(2 * MSS, "two")
    wire.run(0.03)
    answers = [one for _, one in wire.sent if one.port != 10809]
    assert [(one.frames, one.acknowledged) for one in answers] == [
        (1, 1 + 4 * MSS),
        (1, 1 + 6 * MSS),
    ]


def test_a_lost_segment_is_sent_again_after_200_ms_then_400_then_800() -> None:
    wire = connected()
    wire.client.write(100, "first")  # measures the way there and back
    wire.run(1)
    wire.sent.clear()
    wire.loses = lambda packet: packet.port == 10809
    wire.client.write(100, "lost")
    wire.run(3.2)
    times = [at - wire.data()[0][0] for at, _, _ in wire.data()]
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == [pytest.approx(gaps[0] * 2**n, rel=0.02) for n in range(len(gaps))]
    assert 200 <= gaps[0] <= 320
    wire.loses = lambda _packet: False
    wire.run(5)
    assert [message for _, message in wire.got] == ["first", "lost"]


def test_three_duplicate_acknowledgements_have_a_hole_filled_at_once() -> None:
    wire = connected()
    wire.client.write(100, "first")
    wire.run(1)
    wire.sent.clear()
    wire.loses = lambda packet: packet.segment.sequence == 101 and len(wire.data()) == 1
    for number in range(6):
        wire.client.write(MSS, number)
    wire.run(0.05)
    again = [(at, length) for at, sequence, length in wire.data() if sequence == 101]
    assert len(again) == 2
    assert again[1][0] - again[0][0] <= 3, "a way there and back, and no time-out"
    assert [message for _, message in wire.got][1:] == list(range(6))


def test_a_socket_keeps_little_in_its_interface() -> None:
    wire = connected()
    wire.client.write(100 * MSS, "much")
    assert sum(length for _, _, length in wire.data()) <= max(QUEUED_BYTES, INITIAL_WINDOW)
    wire.run(1)
    assert [message for _, message in wire.got] == ["much"]


def test_a_connection_is_asked_for_again_after_one_second_and_two() -> None:
    wire = Wire()
    wire.loses = lambda _packet: True
    wire.client.connect()
    wire.run(8)
    assert [at for at, one in wire.sent if one.syn] == [0, 1000, 3000, 7000]


def test_a_reset_ends_a_connection_and_says_so() -> None:
    wire = connected()
    said: list[str] = []
    wire.client.lost = said.append
    wire.client.write(100, "on its way")
    wire.client.arrive(packet(rst=True))
    assert (said, wire.gone) == (["Connection reset by peer"], [wire.client])
    wire.run(5)
    assert len(wire.data()) == 1, "nothing is sent again"


def test_a_peer_that_never_answers_is_given_up_after_a_quarter_of_an_hour() -> None:
    wire = connected()
    said: list[str] = []
    wire.client.lost = said.append
    wire.loses = lambda _packet: True
    wire.client.write(100, "lost")
    wire.run(924)
    assert said == []
    wire.run(240)
    assert said == ["Connection timed out"]
