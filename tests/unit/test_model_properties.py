"""What holds for every kernel, card and order of events in the reference model."""

from __future__ import annotations

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reserve_agent.contract.packets import Limits, Policy, Reason
from reserve_agent.model.buffers import Origin
from reserve_agent.model.card_buffers import CardBuffers
from reserve_agent.model.mark import Mark
from reserve_agent.model.node import NodeModel
from reserve_agent.model.pool import Window
from reserve_agent.model.profiles import CARDS, KERNELS
from reserve_agent.model.profiles.card import Asks, Refill
from reserve_agent.model.profiles.kernel import Request
from reserve_agent.model.sockets import Socket
from tests.system import frames
from tests.unit.model_steps import BEAT, BLOCK, OTHER, RULES, datagram, segment

KERNEL_NAMES = [name for name, kernel in KERNELS.items() if kernel.buffers is not None]
ARP = frames.frame(frames.ARP, bytes(28))
received = st.one_of(
    st.builds(datagram, st.sampled_from((BEAT, OTHER)), st.sampled_from((0, 64, 300, 1400))),
    st.builds(
        lambda k, n: segment((BLOCK, OTHER), 7, k, n), st.integers(0, 60_000), st.integers(0, 1400)
    ),
    st.just(ARP),
)
waits = st.sampled_from((0, 0, 1000, 300_000, 2_000_000, 30_000_000))


class Node(RuleBasedStateMachine):
    """One node under a kernel profile; every rule looks at what its step did."""

    @initialize(
        kernel=st.sampled_from(KERNEL_NAMES),
        card=st.sampled_from(sorted(CARDS)),
        policy=st.sampled_from((Policy.MEMALLOC, Policy.MEMALLOC, *Policy)),
        reserve=st.integers(60, 200),
        share=st.sampled_from((2, 3, 1, 4, 0, 8)),
        flagged=st.sampled_from((True, True, False)),
    )
    def boot(
        self, kernel: str, card: str, policy: Policy, reserve: int, share: int, flagged: bool
    ) -> None:
        """A node that is held at some level from the start."""
        self.kernel, self.card = KERNELS[kernel], CARDS[card]
        limits = Limits(mempool_pages=4)
        self.model = NodeModel(RULES, limits, policy, kernel=self.kernel, card=self.card)
        self.windows: list[Window] = []
        self.model.pool.windows = self.windows
        self.model.pool.resize(1000 + reserve, reserve)
        self.now = 0
        self.sockets = [Socket() for _ in range(4)]
        self.marks: list[tuple[bytes, Mark]] = []
        self.sequence = 0
        self.model.reset(0)
        self.model.flag(self.sockets[0], flagged)
        self.sockets[1].writeback = True
        self.model.stall(self.sockets[3], True)
        self.window(share, 2_000_000_000)

    @property
    def buffers(self) -> CardBuffers:
        assert isinstance(self.model.buffers, CardBuffers)
        return self.model.buffers

    def floor(self, request: Request) -> int:
        return self.kernel.floors.pages(request, self.model.pool.reserve)

    @rule(
        frame=received,
        wait=waits,
        count=st.sampled_from((1, 1, 20, 100)),
        socket=st.sampled_from((*range(4), None)),
    )
    def receive(self, frame: bytes, wait: int, count: int, socket: int | None) -> None:
        """Packets come, and go on to a socket at once or wait for the rule ``deliver``."""
        self.now += wait
        for _ in range(count):
            before = len(self.marks)
            self.receive_one(frame)
            if socket is not None and len(self.marks) > before:
                self.deliver_one(*self.marks.pop(), self.sockets[socket])

    def receive_one(self, frame: bytes) -> None:
        model, pool = self.model, self.model.pool
        model.advance(self.now)
        stock, free, memalloc = pool.stock, pool.free, model.memalloc
        had_heads, deaf = self.buffers.heads.at_hand > 0, self.buffers.deaf
        refused = dict(model.packets)
        mark = model.receive(frame, self.now)
        if pool.stock > stock and not memalloc and self.card.asks is not Asks.ALWAYS:
            assert pool.free >= self.floor(Request.ATOMIC), "nothing is granted at its floor"
        if mark is not None:
            self.marks.append((frame, mark))
            below = min(pool.free, free - 1) < self.floor(Request.ATOMIC)
            assert below or not mark.from_reserve or self.buffers.ring, "only below the floor"
        elif memalloc and self.card.asks is Asks.FLAGGED and had_heads and free and not deaf:
            new = {key[2] for key in model.packets if model.packets[key] != refused.get(key, 0)}
            assert new <= {Reason.SOFTNET_THROTTLED, Reason.NOT_VM_AWARE}, "memalloc never waits"

    @precondition(lambda self: self.marks)
    @rule(index=st.integers(0, 30), socket=st.integers(0, 3))
    def deliver(self, index: int, socket: int) -> None:
        self.deliver_one(*self.marks.pop(index % len(self.marks)), self.sockets[socket])

    def deliver_one(self, frame: bytes, mark: Mark, to: Socket) -> None:
        passed = self.model.deliver(frame, mark, to, self.now)
        flagged = to.memalloc and not to.stalled
        if flagged and self.model.policy in (Policy.MEMALLOC, Policy.SOFTNET):
            assert passed, "a flagged packet is never dropped from the reserve"

    @rule(socket=st.integers(0, 3), size=st.sampled_from((0, 64, 4096, 9000)), wait=waits)
    def transmit(self, socket: int, size: int, wait: int) -> None:
        self.now += wait
        model, pool, sender = self.model, self.model.pool, self.sockets[socket]
        frame = segment((OTHER, BLOCK), self.sequence, 1, size)
        request = Request.MEMALLOC if sender.writeback else Request.NORMAL
        model.advance(self.now)
        tx, free, heads = pool.tx, pool.free, self.buffers.heads.at_hand
        sent = model.transmit(frame, sender, self.now)
        if sent:
            self.sequence += size
            if pool.tx > tx:
                assert pool.free >= self.floor(request), "nothing is granted at its floor"
        elif request is Request.MEMALLOC and heads:
            assert free < size // 4096 + 2, "memalloc never waits"

    @rule(index=st.integers(0, 3), memalloc=st.booleans(), writeback=st.booleans())
    def flag(self, index: int, memalloc: bool, writeback: bool) -> None:
        self.model.flag(self.sockets[index], memalloc)
        self.sockets[index].writeback = writeback

    @rule(index=st.integers(2, 3), stalled=st.booleans())
    def stall(self, index: int, stalled: bool) -> None:
        self.model.stall(self.sockets[index], stalled)

    @rule(policy=st.sampled_from(Policy))
    def switch(self, policy: Policy) -> None:
        self.model.policy = policy

    @rule(share=st.integers(0, 8), length=st.sampled_from((50_000, 5_000_000, 2_000_000_000)))
    def window(self, share: int, length: int) -> None:
        start = max(self.now, self.windows[-1].end if self.windows else 0)
        self.windows.append(Window(start, start + length, self.model.pool.reserve * share // 8))

    @rule(pages=st.integers(0, 400))
    def dirty(self, pages: int) -> None:
        self.model.pool.ask(pages)

    @rule(pages=st.integers(0, 400))
    def clean(self, pages: int) -> None:
        self.model.pool.wash(pages)

    @rule()
    def wake(self) -> None:
        self.model.wake()

    @rule()
    def reboot(self) -> None:
        self.model.reset(10)
        self.marks.clear()
        self.sockets = [Socket() for _ in self.sockets]

    @rule(index=st.integers(0, 3))
    def close(self, index: int) -> None:
        self.model.release(self.sockets[index])
        self.sockets[index] = Socket()

    @invariant()
    def pages_are_conserved(self) -> None:
        pool, buffers = self.model.pool, self.buffers
        parts = (pool.free, pool.clean, pool.dirty, pool.squeezed, pool.tx, pool.stock)
        assert sum(parts) == pool.total
        assert self.model.flagged >= sum(socket.memalloc for socket in self.sockets)
        assert min(*parts, pool.low_water) >= 0
        assert not (pool.running.pages or pool.rx_stalled or pool.hoarded)
        assert pool.stock == buffers.small.pages + buffers.large.pages + buffers.heads.pages

    @invariant()
    def pieces_are_conserved(self) -> None:
        buffers = self.buffers

        def held(origin: Origin) -> int:
            return buffers.running[origin].pages + buffers.hoarded[origin]

        small, large = buffers.small, buffers.large
        used = held(Origin.SMALL) + small.left + small.free_singles
        assert used == small.pages * small.per_page
        pages = 0
        for origin, free, cut_from, per in (
            (Origin.PAGE, large.free_singles, 1, large.per_page),
            (Origin.FRAGMENT, large.free_fragments, large.fragment_pages, large.per_fragment),
        ):
            ring = sum(piece.origin is origin for piece in buffers.ring)
            cut = large.left if large.current.origin is origin else 0
            pieces = held(origin) + ring + cut + free
            assert pieces % max(1, per) == 0
            pages += pieces // max(1, per) * cut_from
        assert pages == large.pages
        assert len(buffers.ring) <= self.card.ring
        heads = buffers.heads
        out = sum(held(origin) for origin in Origin)
        assert heads.at_hand + out == heads.pages * heads.per_page
        assert not buffers.deaf or self.card.refill is Refill.OR_DEAF


def test_every_kernel_and_card() -> None:
    Node.TestCase.settings = settings(
        max_examples=150,
        stateful_step_count=30,
        deadline=None,
        # Shrinking takes minutes; the step that fails says what differs.
        phases=(Phase.explicit, Phase.generate),
        database=None,
    )
    Node.TestCase("runTest").runTest()
