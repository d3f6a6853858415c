"""The steps that drive the reference and the hooks."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from reserve_agent.contract import packets
from reserve_agent.contract.packets import Policy
from reserve_agent.hooks import layout
from reserve_agent.hooks.layout import Op
from reserve_agent.model.card_buffers import CardBuffers
from reserve_agent.model.pool import Window
from reserve_agent.model.sockets import Socket
from tests.system import frames
from tests.system.compared import Compared
from tests.system.drawn import all_frames, sockets, waits
from tests.system.twins import (
    BEAT,
    BLOCK,
    LIMITS,
    NO_SOCKET,
    OTHER,
    RULES,
    SHIFT,
    SHORTEST,
    SOCKETS,
    CountingModel,
    decode_mark,
)

RETRY = 500_000_000


class TwoNodes(Compared):
    """What may happen to both."""

    @initialize(
        total=st.integers(64, 200),
        reserve=st.integers(0, 60),
        clean=st.integers(0, 40),
        policy=st.sampled_from(Policy),
    )
    def size(self, total: int, reserve: int, clean: int, policy: Policy) -> None:
        self.hooks.empty()
        self.model = CountingModel(RULES, LIMITS, kernel=self.kernel, card=self.card)
        self.model.pool.service_shift = SHIFT
        self.windows: list[Window] = []
        self.model.pool.windows = self.windows
        self.sockets = [Socket() for _ in range(SOCKETS)]
        self.marks: list[tuple[bytes, int]] = []
        self.now = 10_000
        self.resize(total, reserve)
        self.reset(clean)
        self.switch_policy(policy)
        self.flag(0, memalloc=True, writeback=True)
        self.flag(1, memalloc=True, writeback=False)

    @rule(frame=all_frames, wait=waits)
    def receive(self, frame: bytes, wait: int) -> None:
        frame = frame.ljust(SHORTEST, b"\0")
        self.now += wait
        verdict, mark = self.hooks.call("cb_receive", frame, self.now, NO_SOCKET)
        expected = self.model.receive(frame, self.now)
        assert (verdict == 0) == (expected is not None)
        if expected is not None:
            assert decode_mark(mark) == expected
            self.marks.append((frame, mark))
        assert self.hooks.heard() == bytes(self.model.heard)
        self.compare()

    @rule(index=st.integers(0, 3), socket=sockets, wait=waits)
    def deliver(self, index: int, socket: int, wait: int) -> None:
        """One of the last packets received reaches a socket."""
        if not self.marks:
            return
        frame, mark = self.marks.pop(-1 - index % len(self.marks))
        self.now += wait
        frame = frames.untagged(frame)
        verdict, _ = self.hooks.call("cb_deliver", frame, self.now, socket, mark)
        expected = self.model.deliver(frame, decode_mark(mark), self._socket(socket), self.now)
        assert (verdict == 1) == expected
        self.compare()

    @rule(frame=all_frames, socket=sockets, wait=waits)
    def transmit(self, frame: bytes, socket: int, wait: int, queued: int = 0) -> None:
        frame = frame.ljust(SHORTEST, b"\0")
        self.now += wait
        verdict, _ = self.hooks.call("cb_transmit", frame, self.now, socket, queued=queued)
        expected = self.model.transmit(frame, self._socket(socket), self.now, queued)
        assert (verdict == 0) == expected
        self.compare()

    @rule(socket=sockets, count=st.integers(1, 4), wait=waits)
    def burst(self, socket: int, count: int, wait: int) -> None:
        """Datagrams that arrive together, for one socket."""
        datagram = frames.frame(frames.IP, frames.ipv4(frames.UDP, frames.udp(BEAT, BEAT)))
        for _ in range(count):
            self.receive(datagram, wait)
            self.deliver(0, socket, 0)
            wait = 0

    @rule(
        socket=sockets,
        size=st.sampled_from((8, 214, 1448)),
        count=st.sampled_from((20, 70, 300)),
        wait=st.sampled_from((0, 1, 64)),
    )
    def flood(self, socket: int, size: int, count: int, wait: int) -> None:
        """More than a ring, and more than the heads at hand."""
        if self.card is None:
            return
        datagram = frames.frame(
            frames.IP, frames.ipv4(frames.UDP, frames.udp(BEAT, BEAT, bytes(size)))
        )
        for _ in range(count):
            self.now += wait
            verdict, mark = self.hooks.call("cb_receive", datagram, self.now, NO_SOCKET)
            taken = self.model.receive(datagram, self.now)
            assert (verdict == 0) == (taken is not None)
            if taken is None:
                continue
            assert decode_mark(mark) == taken
            verdict, _ = self.hooks.call("cb_deliver", datagram, self.now, socket, mark)
            passed = self.model.deliver(datagram, taken, self._socket(socket), self.now)
            assert (verdict == 1) == passed
        self.compare()

    @rule(socket=sockets, count=st.sampled_from((5, 30)))
    def speak(self, socket: int, count: int) -> None:
        """More datagrams leave than slabs have heads."""
        if self.card is None:
            return
        datagram = frames.frame(
            frames.IP, frames.ipv4(frames.UDP, frames.udp(BEAT, BEAT, bytes(18)))
        )
        for _ in range(count):
            verdict, _ = self.hooks.call("cb_transmit", datagram, self.now, socket)
            assert (verdict == 0) == self.model.transmit(datagram, self._socket(socket), self.now)
        self.compare()

    @rule(early=st.sampled_from((0, 1, 64)))
    def try_again(self, early: int) -> None:
        """A packet comes as a deaf driver tries to fill its ring again, or just before."""
        buffers = self.model.buffers
        if isinstance(buffers, CardBuffers) and buffers.deaf:
            self.now = max(self.now, buffers.retry_at - early)
            self.burst(0, 1, 0)

    @rule()
    def long_wait(self) -> None:
        """As long as a deaf driver waits, and readers are done."""
        self.tick(RETRY)

    @rule(
        socket=st.integers(0, SOCKETS - 1),
        size=st.sampled_from((1, 1447, 1448, 2649)),
        queued=st.sampled_from((0, 0, 1, 4096, 16412, 262_592)),
    )
    def stream(self, socket: int, size: int, queued: int) -> None:
        """The next bytes of a connection go out, and more wait behind them."""
        model = self.sockets[socket]
        sequence = (model.tx_base or 0) + model.tx_end
        segment = frames.tcp(OTHER, BLOCK, sequence, 1, bytes(size))
        frame = frames.frame(frames.IP, frames.ipv4(frames.TCP, segment))
        self.transmit(frame, socket, 0, queued)

    @rule(
        socket=st.integers(0, SOCKETS - 1),
        page=st.integers(0, 3),
        byte=st.sampled_from((-1, 0, 1)),
        wait=waits,
    )
    def acknowledge(self, socket: int, page: int, byte: int, wait: int) -> None:
        """Some of them are acknowledged, up to about a page's end."""
        model = self.sockets[socket]
        una = (model.tx_una // 4096 + page) * 4096 + byte
        segment = frames.tcp(BLOCK, OTHER, 7, (model.tx_base or 0) + una)
        self.receive(frames.frame(frames.IP, frames.ipv4(frames.TCP, segment)), wait)
        self.deliver(0, socket, 0)

    @rule(
        index=st.integers(0, SOCKETS - 1),
        memalloc=st.booleans(),
        writeback=st.booleans(),
        stalled=st.sampled_from((False, False, True)),
        realtime=st.booleans(),
    )
    def flag(
        self,
        index: int,
        memalloc: bool,
        writeback: bool,
        stalled: bool = False,
        realtime: bool = False,
    ) -> None:
        socket, raw = self.sockets[index], self.hooks.read_socket(index)
        raw.flags = memalloc * packets.SOCK_MEMALLOC | writeback * packets.SOCK_WRITEBACK
        raw.flags |= stalled * packets.SOCK_STALLED | realtime * packets.SOCK_REALTIME
        raw.receive_buffer = socket.receive_buffer = 40_000 * realtime
        self.hooks.write_socket(index, raw)
        self.model.flag(socket, memalloc)
        self.hooks.node.pool.flagged = self.model.flagged % 2**64
        socket.writeback, socket.stalled, socket.realtime = writeback, stalled, realtime

    @rule(policy=st.sampled_from(Policy))
    def switch_policy(self, policy: Policy) -> None:
        self.hooks.node.config.policy = policy
        self.model.policy = policy

    @rule(enforced=st.booleans())
    def enforce(self, enforced: bool) -> None:
        self.hooks.node.config.enforce = enforced
        self.model.enforce = enforced

    @rule(pages=st.integers(0, 150), wait=waits)
    def dirty(self, pages: int, wait: int) -> None:
        self.now += wait
        self.hooks.operate(Op.DIRTY, self.now, pages)
        self.model.advance(self.now)
        self.model.pool.ask(pages)
        self.compare()

    @rule(pages=st.integers(0, 150), wait=waits)
    def clean(self, pages: int, wait: int) -> None:
        self.now += wait
        cleaned = self.hooks.operate(Op.CLEAN, self.now, pages)
        self.model.advance(self.now)
        assert cleaned == self.model.pool.wash(pages)
        self.compare()

    @rule(wait=waits)
    def tick(self, wait: int) -> None:
        self.now += wait
        self.hooks.operate(Op.TICK, self.now)
        self.model.advance(self.now)
        self.compare()

    @rule()
    def wake(self) -> None:
        self.hooks.operate(Op.WAKE, self.now)
        self.model.advance(self.now)
        self.model.wake()
        self.compare()

    @rule()
    def calm(self) -> None:
        self.hooks.operate(Op.CALM, self.now)
        self.model.advance(self.now)
        self.model.pool.give_up()
        self.compare()

    @rule(pages=st.integers(1, 40), level=st.integers(0, 30))
    def swap(self, pages: int, level: int) -> None:
        if self.card is None:
            return
        pages, level = pages * self.scale, min(level * self.scale, self.model.pool.reserve)
        self.hooks.operate(Op.SWAP, self.now, pages, level)
        self.model.advance(self.now)
        self.model.pool.swap(pages, level)
        self.compare()

    @rule(raised=st.booleans())
    def emergency(self, raised: bool) -> None:
        self.hooks.operate(Op.EMERGENCY, self.now, int(raised))
        self.model.advance(self.now)
        self.model.emergency = raised
        self.compare()

    @rule(total=st.integers(1, 400), reserve=st.integers(0, 80))
    def resize(self, total: int, reserve: int) -> None:
        total, reserve = total * self.scale, reserve * self.scale
        done = self.hooks.operate(Op.RESIZE, self.now, total, reserve)
        self.model.advance(self.now)
        assert done == self.model.pool.resize(total, reserve)
        self.compare()

    @rule(clean=st.integers(0, 60))
    def reset(self, clean: int) -> None:
        clean *= self.scale
        self.hooks.operate(Op.RESET, self.now, clean)
        self.model.advance(self.now)
        self.model.reset(clean)
        self.compare()

    @rule(after=st.integers(0, 300), length=st.integers(1, 800), level=st.integers(0, 30))
    def add_window(self, after: int, length: int, level: int) -> None:
        start = max(self.now, self.windows[-1].end if self.windows else 0) + after
        level = min(level * self.scale, self.model.pool.reserve)
        self.windows.append(Window(start, start + length, level))
        node = self.hooks.node
        node.windows.entries[len(self.windows) - 1] = layout.Window(start, start + length, level)
        node.config.windows = len(self.windows)
