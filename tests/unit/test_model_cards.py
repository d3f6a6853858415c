"""Single rules of kernel and card profiles, each with the measurement or source that it is from."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from reserve_agent.contract.packets import Hook, PacketClass, Policy, Reason
from reserve_agent.model.card_buffers import CardBuffers
from reserve_agent.model.node import NodeModel
from reserve_agent.model.pool import Window
from reserve_agent.model.profiles import CARDS, KERNELS, LINUX_2_6_12, LINUX_6_1
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel, Ratio, Request
from reserve_agent.model.reclaim import Task
from reserve_agent.model.sockets import Socket
from tests.system import frames
from tests.unit.levels import MS, RESERVE
from tests.unit.model_steps import BEAT, BLOCK, OTHER, RULES, datagram, segment

LONG = 10**15
BEGIN = 1000


def node(card: str, level: Ratio, *, flagged: bool = True, kernel: Kernel = LINUX_6_1) -> NodeModel:
    """A node held at a level from ``BEGIN`` on, with one flagged socket somewhere or none."""
    policy = Policy.MEMALLOC if flagged else Policy.NONE
    model = NodeModel(RULES, policy=policy, kernel=kernel, card=CARDS[card])
    model.pool.resize(8192, RESERVE)
    model.reset(4000)
    model.pool.windows = (Window(BEGIN, LONG, level.of(RESERVE)),)
    if flagged:
        model.flag(Socket(), True)
    return model


def hears(model: NodeModel, socket: Socket, now: int, size: int = 64) -> bool:
    """Whether a datagram reaches the socket's reader."""
    frame = datagram(BEAT if size <= 64 else OTHER, size)
    mark = model.receive(frame, now)
    return mark is not None and model.deliver(frame, mark, socket, now)


def heard(model: NodeModel, socket: Socket, count: int, size: int = 64, start: int = BEGIN) -> int:
    """How many of so many datagrams, 1 ms apart."""
    return sum(hears(model, socket, start + i * MS, size) for i in range(count))


QUARTER, HALF, WHOLE = Ratio(1, 4), Ratio(1, 2), Ratio(1, 1)


def test_a_level_between_the_atomic_floor_and_r_costs_nothing() -> None:
    """Measured on 6.1.192: nothing is lost at 1/2 of min on e1000, flagged or not."""
    for flagged in (False, True):
        model = node("e1000", HALF, flagged=flagged)
        assert heard(model, Socket(), 1000) == 1000
        assert not model.packets[Hook.RECEIVE, PacketClass.HEARTBEAT, Reason.FROM_RESERVE]


def test_the_first_flagged_socket_opens_the_reserve() -> None:
    """``sk_memalloc_socks()``: without one a flagged policy changes nothing."""
    model = node("8139cp", QUARTER)
    model.flagged = 0
    beat = Socket()
    assert heard(model, beat, 200) <= 17
    model.flag(beat, True)
    assert heard(model, beat, 200, start=LONG // 2) == 200


def test_a_flagged_socket_that_closes_leaves_the_reserve_open_until_a_reboot() -> None:
    """``sk_set_memalloc`` counts up; a close does not count down."""
    model = node("e1000e", QUARTER, flagged=False)
    socket = Socket()
    model.flag(socket, True)
    model.flag(socket, True)
    assert model.flagged == 1
    model.release(socket)
    assert model.flagged == 1
    model.reset(4000)
    assert model.flagged == 0


def test_only_a_flagged_reader_gets_what_is_from_the_reserve() -> None:
    model = node("e1000", QUARTER)
    assert heard(model, Socket(), 15) == 0
    assert model.packets[Hook.DELIVER, PacketClass.HEARTBEAT, Reason.NOT_MEMALLOC] == 15
    assert heard(model, Socket(memalloc=True), 15) == 15


def test_a_copy_is_marked_by_its_moment_and_not_by_its_page() -> None:
    """A machine goes on 48 to 65 ms after a window of 1.5 s (late-drops, kernel-levels, e1000).

    A mark that stayed with the page would have cost it the next repetition, of 3.2 s.
    """
    model = node("e1000", QUARTER)
    model.pool.windows = (Window(BEGIN, BEGIN + 100 * MS, QUARTER.of(RESERVE)),)
    assert heard(model, Socket(), 13) == 0
    assert isinstance(model.buffers, CardBuffers)
    assert model.buffers.small.marked, "pieces of a page of the reserve are at hand"
    assert heard(model, Socket(), 20, start=BEGIN + 101 * MS) == 20


def test_e1000_recycles_longer_frames_and_e1000e_does_not() -> None:
    """docs/machines.md: packets of 512 bytes make an e1000 deaf at 1/4, whatever is flagged."""
    beat = Socket(memalloc=True)
    for card, deaf in (("e1000", True), ("e1000e", False)):
        model = node(card, QUARTER)
        assert heard(model, beat, 300, size=512) >= 256, "the ring was filled before"
        lost = heard(model, beat, 100, size=512, start=LONG // 2) == 0
        assert lost is deaf


@pytest.mark.parametrize(("size", "most"), [(64, 167), (1400, 98)])
def test_a_reader_that_does_not_read_is_bounded_by_its_receive_buffer(size: int, most: int) -> None:
    """net/ipv4/udp.c:1537 with 212,992 bytes; some 52 pages, flagged or not."""
    for memalloc in (False, True):
        model = node("8139cp" if size > 256 else "e1000", WHOLE)
        before = model.pool.stock
        stalled = Socket(stalled=True, memalloc=memalloc)
        assert heard(model, stalled, 400, size) == most
        assert 41 <= model.pool.stock - before <= 60
        assert model.packets[Hook.DELIVER, PacketClass.HEARTBEAT, Reason.BUFFER_FULL] == (
            400 - most if size <= 64 else 0
        )
        model.wake()
        assert heard(model, stalled, 10, size, start=LONG // 2) == 10


def test_without_heads_a_flagged_socket_is_deaf_although_pages_are_left() -> None:
    """Measured with 8139cp: free 4, 8,000 failed GFP_ATOMIC a second, block I/O frozen."""
    model = node("8139cp", QUARTER)
    assert heard(model, Socket(stalled=True, memalloc=True), 64) == 64
    assert heard(model, Socket(memalloc=True), 100) == 0
    assert model.pool.free > 0
    model.wake()
    assert heard(model, Socket(memalloc=True), 100, start=LONG // 2) == 100


def test_igb_always_asks_and_uses_its_pages_again() -> None:
    """From source: no level touches a reader that reads, flagged or not."""
    for flagged in (False, True):
        model = node("igb", Ratio(0, 1), flagged=flagged)
        assert heard(model, Socket(), 2000, 1400) == 2000


def test_what_igb_gets_from_the_reserve_is_dropped_without_a_flag() -> None:
    """``sk_filter`` drops it, also where no socket is flagged."""
    model = node("igb", QUARTER, flagged=False)
    stalled = Socket(stalled=True)
    for start in range(5):  # heads of these packets are kept, so that 64 end it
        heard(model, stalled, 12, 1400, start=BEGIN + start)
    assert heard(model, Socket(), 600, 1400, start=LONG // 2) < 600
    assert model.packets[Hook.DELIVER, PacketClass.OTHER, Reason.NOT_MEMALLOC]


def test_2_6_12_has_no_reserve_for_receiving() -> None:
    model = node("8139cp", QUARTER, kernel=LINUX_2_6_12)
    assert not model.memalloc
    assert heard(model, Socket(memalloc=True), 100) <= 2
    model.policy = Policy.SOFTNET
    assert heard(model, Socket(memalloc=True), 100, start=LONG // 2) == 100


def test_protocols_pass_by_their_ethertype() -> None:
    """``skb_pfmemalloc_protocol``: IP and what is in it, whatever that is; LLDP is dropped."""
    model = node("e1000", QUARTER)
    ospf = frames.frame(frames.IP, frames.ipv4(89, bytes(40)))
    fragment = frames.frame(frames.IP, frames.ipv4(frames.UDP, bytes(40), 0x2064))
    arp = frames.frame(frames.ARP, bytes(28), (5,))
    for frame in (ospf, fragment, arp):
        assert model.receive(frame, BEGIN) is not None
    assert model.receive(frames.frame(0x88CC, bytes(40)), BEGIN) is None
    assert model.packets[Hook.RECEIVE, PacketClass.OTHER, Reason.NOT_VM_AWARE] == 1


def says(model: NodeModel, count: int, socket: Socket, start: int = BEGIN) -> int:
    """How many of so many heartbeats leave, 1 ms apart."""
    frame = datagram(BEAT, 64)
    return sum(model.transmit(frame, socket, start + i * MS) for i in range(count))


def test_sending_small_packets_needs_heads_and_no_page() -> None:
    """Measured: at 0 of min all 15 heartbeats reach the peer."""
    model = node("e1000e", Ratio(0, 1), flagged=False)
    assert says(model, 100, Socket()) == 100
    buffers = model.buffers
    assert isinstance(buffers, CardBuffers)
    buffers.heads.at_hand = 0
    assert not model.transmit(datagram(BEAT, 64), Socket(), BEGIN + 200 * MS)


@pytest.mark.parametrize(
    ("card", "kernel", "least", "most"),
    [
        ("e1000", LINUX_6_1, 16, 33),
        ("8139cp", LINUX_6_1, 16, 28),
        ("e1000e", LINUX_6_1, 240, 240),
        ("vmxnet3", LINUX_6_1, 240, 240),
        ("virtio-net", LINUX_6_1, 240, 240),
        ("e1000", LINUX_2_6_12, 240, 240),
    ],
)
def test_a_node_that_hears_nothing_falls_mute(
    card: str, kernel: Kernel, least: int, most: int
) -> None:
    """Measured on 6.1.192 in datagrams sent since a packet was received; 2.6.12 has no cache."""
    model = node(card, QUARTER, flagged=False, kernel=kernel)
    assert least <= says(model, 240, Socket(realtime=True)) <= most


MUTE_AFTER = CARDS["e1000"].mute_after


def test_a_mute_node_speaks_again_once_it_hears_or_finds_pages() -> None:
    """napi_skb_cache_get; throttle_direct_reclaim."""
    beat = Socket(realtime=True)
    model = node("e1000", QUARTER, flagged=False)
    pool, last = model.pool, Window(LONG // 2, LONG, 0)
    pool.windows = (Window(BEGIN, LONG // 4, QUARTER.of(RESERVE)), last)
    assert says(model, 100, beat) == MUTE_AFTER
    assert heard(model, beat, 3, start=LONG // 8) == 3
    assert says(model, 100, beat, LONG // 8) == 3
    for level, sent in ((HALF.of(RESERVE), 0), (HALF.of(RESERVE) + 1, 100)):
        pool.windows = (Window(BEGIN, LONG // 4, level), last)
        pool.squeezed -= RESERVE
        pool.free += RESERVE
        assert says(model, 100, beat, LONG // 7 + level) == sent
    assert says(model, 100, beat, LONG // 3) == 100
    assert says(model, 100, beat, LONG // 2) == MUTE_AFTER, "of another crunch"


def test_a_flagged_sender_has_its_heads_from_the_reserve() -> None:
    """``__alloc_skb`` with ``sk_allocation``; the flag counts only where a policy honours it."""
    for flagged, sent in ((True, 240), (False, MUTE_AFTER)):
        model = node("e1000", QUARTER, flagged=flagged)
        assert says(model, 240, Socket(realtime=True, memalloc=True)) == sent
    assert says(node("e1000", QUARTER), 240, Socket(realtime=True)) == MUTE_AFTER


def test_who_hears_as_much_as_it_sends_is_never_mute() -> None:
    """Measured with block I/O flagged: deaf, not mute, since each packet has a head first."""
    beat = Socket(realtime=True)
    model = node("e1000", QUARTER)
    for now in range(BEGIN, BEGIN + 200 * MS, MS):
        assert not hears(model, beat, now)
        assert says(model, 1, beat, now) == 1


@pytest.mark.parametrize(
    ("socket", "floor"),
    [
        (Socket(writeback=True), Ratio(0, 1)),
        (Socket(), WHOLE),
        (Socket(memalloc=True), WHOLE),
        (Socket(realtime=True), HALF),
    ],
)
def test_a_writer_stalls_at_the_floor_of_its_task(socket: Socket, floor: Ratio) -> None:
    """The flag does not help a sender that waits; NBD's sender is PF_MEMALLOC without it."""
    model = node("e1000", QUARTER)
    pool = model.pool
    pool.windows = ()
    pool.clean += pool.free - RESERVE - 40
    pool.free = RESERVE + 40
    sequence, sent = 1, 0
    while sent < 400 and model.transmit(segment((OTHER, BLOCK), sequence, 1, 4096), socket, BEGIN):
        sequence += 4096
        sent += 1
    assert pool.free == floor.of(RESERVE)


def test_floors_of_210_pages() -> None:
    """facts: R = 256 gives 96, 128 and 192 pages for 3/8, 1/2 and 3/4."""
    new, old = KERNELS["linux-6.1"].floors, KERNELS["linux-2.6.12"].floors
    assert [new.pages(request, 256) for request in Request] == [96, 128, 128, 256, 0]
    assert [old.pages(request, 256) for request in Request] == [96, 96, 192, 256, 0]


def test_a_kernel_with_buffers_needs_a_card() -> None:
    with pytest.raises(ValueError, match=r"linux-6\.1: a card profile is needed"):
        NodeModel(kernel=LINUX_6_1)


def test_tasks_reclaim_from_r_to_half_of_it_and_sleep_below() -> None:
    """mm/vmscan.c:6546."""
    for level, state in ((WHOLE, Task.RECLAIMS), (HALF, Task.RECLAIMS), (QUARTER, Task.SLEEPS)):
        model = node("e1000", level)
        assert model.tasks.state is Task.RUNS
        model.pool.advance(BEGIN)
        model.pool.ask(100)
        assert model.tasks.look(found=False) is state


def test_sixteen_fruitless_rounds_end_a_task_and_the_crunch_of_its_pages() -> None:
    """MAX_RECLAIM_RETRIES; a round that finds a page begins the count anew."""
    model = node("e1000", WHOLE)
    model.pool.windows = ()
    model.pool.ask(8000)
    assert model.pool.pressure
    rounds = [model.tasks.look(found=i == 10) for i in range(26)]
    assert set(rounds) == {Task.RECLAIMS}
    assert model.tasks.look(found=False) is Task.ENDED
    assert (model.pool.pressure, model.pool.dirty, model.tasks.kills) == (False, 0, 1)
    assert model.tasks.look(found=False) is Task.RUNS


def test_the_mail_has_no_oom_killer() -> None:
    model = NodeModel()
    model.pool.resize(100, 40)
    model.reset(30)
    model.pool.ask(100)
    assert {model.tasks.look(found=False) for _ in range(100)} == {Task.SLEEPS}


def test_the_page_of_policies_has_every_profile() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
    rows = {line.split("|")[1].split()[0]: line for line in page.splitlines() if "| `" in line[:3]}
    for kernel in KERNELS.values():
        assert kernel.version.split()[0] in rows[f"`{kernel.name}`"]
    for card in CARDS.values():
        assert f"| {card.ring:,}" in rows[f"`{card.name}`"]
        assert bool(card.measured) is ("source only" not in rows[f"`{card.name}`"])
        mute = f"after {card.mute_after} packets" if card.mute_after else "never"
        assert rows[f"`{card.name}`"].endswith(f"| {mute} |")


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_crunch_without_packets_changes_nothing(card: Card) -> None:
    """Levels come and go: the stock of ring, pieces and heads is what it was."""
    model = node(card.name, QUARTER)
    stock = model.pool.stock
    random = Random(1)  # noqa: S311
    for step in range(50):
        model.pool.advance(BEGIN + step + random.randrange(5))
    assert model.pool.stock == stock


@pytest.mark.parametrize(
    ("card", "flagged", "size", "left"),
    [("vmxnet3", True, 64, "marked buffers"), ("e1000", False, 512, "empty slots")],
)
def test_what_comes_after_a_shortage_is_booked_until_the_ring_is_as_before(
    card: str, flagged: bool, size: int, left: str
) -> None:
    """Late drops, and a ring that is filled again: neither may be passed over."""
    model, socket = node(card, QUARTER, flagged=flagged), Socket()
    model.pool.windows = (Window(BEGIN, BEGIN + 100 * MS, QUARTER.of(RESERVE)),)
    heard(model, socket, 60)
    after = BEGIN + 200 * MS
    model.advance(after)
    packet = model._read(datagram(BEAT, 64))
    assert not model.pass_calm(packet, socket, 1, after), left
    # A page of the reserve is cut into buffers of two turns.
    heard(model, socket, 2 * CARDS[card].ring, size, start=after)
    much_later = after + 3000 * MS
    model.advance(much_later)
    assert model.pass_calm(packet, socket, 1, much_later)
