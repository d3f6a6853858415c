"""The border between packets that are booked and packets that are only counted."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from reserve_agent.contract.packets import WHEEL_LIFE, Hook, PacketClass, Policy, Reason
from reserve_agent.model.border import NS_PER_PAGE, margin
from reserve_agent.model.card_buffers import CardBuffers
from reserve_agent.model.node import NodeModel
from reserve_agent.model.pieces import Piece
from reserve_agent.model.pool import Window
from reserve_agent.model.profiles import CARDS, LINUX_6_1
from reserve_agent.model.sockets import Socket
from tests.system import frames
from tests.unit.levels import MS
from tests.unit.model_steps import BEAT, RULES, datagram

RESERVE = 256
BEATS = datagram(BEAT, 64)
LARGE = datagram(BEAT, 9000)


def node(policy: Policy = Policy.MEMALLOC, free: int | None = None, card: str = "") -> NodeModel:
    """A node with so many free pages; None: one more than the border."""
    profile = {"kernel": LINUX_6_1, "card": CARDS[card]} if card else {}
    model = NodeModel(RULES, policy=policy, **profile)  # type: ignore[arg-type]
    model.pool.resize(16_384, RESERVE)
    model.reset(0)
    model.pool.ask(model.pool.free - (model.pool.border + 1 if free is None else free))
    return model


def is_booked(model: NodeModel) -> bool:
    mark = model.receive(BEATS, model.pool.now + MS)
    assert mark is not None
    return mark.booked


def test_the_margin_is_what_the_documents_say() -> None:
    assert margin(15) == 2305
    microseconds, millions = (WHEEL_LIFE << 15) / 1000, 1000 / NS_PER_PAGE
    assert (round(microseconds), round(millions, 1)) == (295, 7.8)


def test_beyond_the_border_a_packet_is_counted_and_takes_nothing() -> None:
    model = node()
    before = (model.pool.free, model.pool.low_water, model.pool.running.pages)
    for size in (64, 9000):
        frame = datagram(BEAT, size)
        mark = model.receive(frame, 1)
        assert mark is not None
        assert not mark.booked
        assert model.deliver(frame, mark, Socket(), 2)
    assert (model.pool.free, model.pool.low_water, model.pool.running.pages) == before
    for hook in (Hook.RECEIVE, Hook.DELIVER):
        key = (hook, PacketClass.HEARTBEAT, Reason.GRANTED)
        assert (model.packets[key], model.pages[key]) == (2, 4)


def test_at_the_border_it_is_booked() -> None:
    model = node(free=RESERVE + margin(15))
    assert is_booked(model)
    assert model.pool.running.pages == 1


def _window(model: NodeModel) -> None:
    model.pool.windows = (Window(10**12, 10**12 + 1, 0),)


def _stall(model: NodeModel) -> None:
    model.stall(Socket(), True)


def _mark_the_ring(model: NodeModel) -> None:
    assert isinstance(model.buffers, CardBuffers)
    model.buffers._next()
    model.buffers._push(Piece(model.buffers.ring[0].origin, from_reserve=True))


def _deafen(model: NodeModel) -> None:
    assert isinstance(model.buffers, CardBuffers)
    model.buffers.deaf = True


def _drain(model: NodeModel) -> None:
    assert isinstance(model.buffers, CardBuffers)
    for _ in range(16):
        model.buffers._next()


def _behead(model: NodeModel) -> None:
    assert isinstance(model.buffers, CardBuffers)
    while model.buffers.heads.at_hand:
        model.buffers.heads.take()


def _cut_from_the_reserve(model: NodeModel) -> None:
    assert isinstance(model.buffers, CardBuffers)
    model.buffers.large.left = 3
    model.buffers.large.current = Piece(model.buffers.large.single, from_reserve=True)


OPENS: list[tuple[str, Callable[[NodeModel], object]]] = [
    ("", lambda model: setattr(model, "policy", Policy.SOFTNET)),
    ("", lambda model: setattr(model, "enforce", True)),
    ("", lambda model: setattr(model, "emergency", True)),
    ("", _window),
    ("", _stall),
    ("vmxnet3", _mark_the_ring),
    ("virtio-net", _deafen),
    ("e1000", _drain),
    ("e1000", _behead),
    ("vmxnet3", _cut_from_the_reserve),
]


@pytest.mark.parametrize(("card", "opens"), OPENS)
def test_what_opens_the_books(card: str, opens: Callable[[NodeModel], object]) -> None:
    model = node(card=card)
    assert not model.receive(BEATS, 1).booked  # type: ignore[union-attr]
    opens(model)
    assert not model.unbooked


def test_the_card_of_a_calm_node_comes_to_rest() -> None:
    """Late drops need a whole turn of the ring; nothing is booked after it."""
    model = node(card="vmxnet3")
    _mark_the_ring(model)
    booked = [is_booked(model) for _ in range(1100)]
    assert booked == [True] * 1024 + [False] * 76


def test_what_is_not_booked_is_not_kept_where_the_pool_has_fallen_meanwhile() -> None:
    model = node(Policy.CRITICAL)
    marks = [model.receive(BEATS, 1) for _ in range(2)]
    model.pool.ask(16_384)
    assert model.pool.pressure
    free, reader = model.pool.free, Socket(stalled=True)
    assert model.deliver(BEATS, marks[0], reader, 2)  # type: ignore[arg-type]
    assert (model.pool.free, model.pool.hoarded, model.pool.rx_stalled) == (free, 0, 0)
    model.emergency = True
    assert not model.deliver(BEATS, marks[1], Socket(), 3)  # type: ignore[arg-type]
    assert model.packets[Hook.DELIVER, PacketClass.HEARTBEAT, Reason.NOT_CRITICAL] == 1


def test_the_pages_of_a_fragment_are_not_looked_at_again() -> None:
    model = node()
    fragment = frames.frame(frames.IP, frames.ipv4(frames.UDP, bytes(100), 0x2064))
    mark = model.receive(fragment, 1)
    assert mark is not None
    assert (mark.pages, mark.booked) == (0, False)
    assert model.deliver(fragment, mark, Socket(), 1)
    assert not any(hook is Hook.DELIVER for hook, _, _ in model.packets)


@pytest.mark.parametrize("seed", range(5))
def test_the_books_are_wrong_by_the_margin_at_most_and_for_one_life(seed: int) -> None:
    """Beside a node that books all, with packets nearly as fast as they may come."""
    lazy, exact = node(free=6000), node(free=6000)
    exact.pool.ns_per_page = 1
    for one in (lazy, exact):
        one.pool.resize(16_384, 0)
    assert (lazy.pool.border, exact.pool.border > 16_384) == (margin(15), True)
    random, now, most, since, crossed = Random(seed), 0, 0, 0, 0  # noqa: S311
    for _ in range(10_000):
        now += NS_PER_PAGE * 3 + random.choice((10, 10, 10, 50, 500))
        if random.random() < 0.001:
            for one in (lazy, exact):
                one.advance(now)
                one.pool.wash(16_384)
            asked = min(random.randrange(25_000), lazy.pool.free - margin(15) + 25)
            for one in (lazy, exact):
                one.pool.ask(asked)
        if lazy.unbooked:
            since = now
        for one in (lazy, exact):
            one.receive(LARGE, now)
            one.advance(now)  # an agent looks at its pool every 10 ms
        most = max(most, lazy.pool.free - exact.pool.free)
        assert 0 <= lazy.pool.free - exact.pool.free <= margin(15)
        assert 0 <= lazy.pool.low_water - exact.pool.low_water <= margin(15)
        if now - since > (WHEEL_LIFE + 1) << 15:
            crossed += 1
            assert lazy.pool.free == exact.pool.free
    assert most > 1500, "and they were wrong by so much"
    assert crossed > 100
