"""The rules are written twice: here both are driven with the same steps and compared after each.

The hooks run through BPF_PROG_TEST_RUN with a clock and sockets that the test hands in; the
reference is ``reserve_agent.model``. Every step compares the verdict, the whole pool, the whole
counter table and the socket, and checks the invariants: no page is lost or invented, none is
negative, the bottom is never passed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from reserve_agent.hooks import layout, libbpf
from reserve_agent.hooks.layout import Hook, Op, PacketClass, Policy, Reason
from reserve_agent.hooks.layout_audit import Protocols
from reserve_agent.hooks.loader import HookSettings, NodeHooks
from reserve_agent.model.node import Mark, NodeModel
from reserve_agent.model.packet import parse
from reserve_agent.model.policies import Limits, Softnet
from reserve_agent.model.pool import Window
from reserve_agent.model.sockets import Socket
from reserve_agent.port_rule import PortRule
from tests.system import frames

pytestmark = pytest.mark.root

EXAMPLES, STEPS = 600, 200  # at least 100,000 steps
SHORTEST = 60  # of a frame on a wire; the kernel runs no headless ones
SHIFT = 6
BLOCK, BEAT, OTHER = 10809, 7405, 9000
RULES = (
    PortRule(BLOCK, frames.TCP, PacketClass.BLOCK_IO),
    PortRule(BEAT, frames.UDP, PacketClass.HEARTBEAT),
    PortRule(BEAT, frames.SCTP, PacketClass.HEARTBEAT),
)
LIMITS = Limits(softnet_limit=2, softnet_cost_ns=32, mempool_pages=2)
SOCKETS = 4
SAME_NAME = (
    *("hoarded", "wakes"),
    *("total", "reserve", "free", "clean", "dirty", "demand", "squeezed", "rx_stalled", "tx"),
    *("low_water", "now", "generation", "pressure", "pressure_ns", "pressure_longest_ns"),
    *("pressure_episodes", "window", "in_window"),
)


class CountingModel(NodeModel):
    """The reference, with its counters also kept in the hooks' own layout."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.table = layout.Counters()
        self.heard = Protocols()
        self.journalled = 0
        self.pool.on_episode = self._episode

    def receive(self, frame: bytes, now: int) -> Mark | None:
        packet = parse(frame, self.rules)
        if packet.type == frames.IP:
            self.heard.ipv4[packet.protocol] += 1
        elif packet.type == frames.IPV6:
            self.heard.ipv6[packet.protocol] += 1
        else:
            slots = self.heard.others
            slot = next(one for one in slots if not one.packets or one.type == packet.type)
            slot.type = packet.type
            slot.packets += 1
        return super().receive(frame, now)

    def _episode(self, _what: str, _t: int, _value: int) -> None:
        self.journalled += 1

    def _count(self, hook: Hook, cls: PacketClass, reason: Reason, pages: int) -> None:
        super()._count(hook, cls, reason, pages)
        row = self.table.by[hook << 6 | cls << 4 | reason]
        row.packets += 1
        row.pages += pages
        if not reason.passed and cls is not PacketClass.OTHER:
            self.journalled += 1


class Hooks:
    """The hooks, emptied between examples rather than loaded anew."""

    def __init__(self) -> None:
        self.node = NodeHooks(testing=True)
        settings_ = HookSettings(
            Policy.NONE,
            rules=RULES,
            softnet_limit=LIMITS.softnet_limit,
            softnet_cost_ns=LIMITS.softnet_cost_ns,
            mempool_pages=LIMITS.mempool_pages,
        )
        self.node.configure(settings_)
        self.node.config.service_shift = SHIFT
        names = ("cb_receive", "cb_deliver", "cb_transmit", "cb_operate")
        self.run = {name: libbpf.TestRun(self.node.program_fd(name)) for name in names}
        self._counters = (layout.Counters * libbpf.possible_cpus())()
        self._heard = (Protocols * libbpf.possible_cpus())()
        self.cpu = min(os.sched_getaffinity(0))

    def empty(self) -> None:
        """As after loading."""
        ctypes.memset(ctypes.addressof(self.node.pool), 0, ctypes.sizeof(layout.Pool))
        self.node.config.windows = 0
        self.node.config.policy = Policy.NONE
        self.node.config.enforce = 0
        blank = (layout.Counters * libbpf.possible_cpus())()
        libbpf.write_map(self.node.map_fd("cb_counters"), 0, blank)
        unheard = (Protocols * libbpf.possible_cpus())()
        libbpf.write_map(self.node.map_fd("cb_protocols"), 0, unheard)
        for index in range(SOCKETS):
            self.write_socket(index, layout.Socket())

    def write_socket(self, index: int, socket: layout.Socket) -> None:
        libbpf.write_map(self.node.map_fd("cb_test_sockets"), index, socket)

    def read_socket(self, index: int) -> layout.Socket:
        socket = layout.Socket()
        libbpf.read_map(self.node.map_fd("cb_test_sockets"), index, socket)
        return socket

    def counters(self) -> bytes:
        """This processor's table."""
        libbpf.read_map(self.node.map_fd("cb_counters"), 0, self._counters)
        return bytes(self._counters[self.cpu])

    def heard(self) -> bytes:
        """Packets by protocol on this processor."""
        libbpf.read_map(self.node.map_fd("cb_protocols"), 0, self._heard)
        return bytes(self._heard[self.cpu])

    def call(
        self, name: str, frame: bytes, now: int, socket: int, mark: int = 0
    ) -> tuple[int, int]:
        """(verdict, mark afterwards)."""
        run = self.run[name]
        run.set_frame(frame)
        run.context.tstamp = now
        run.context.priority = socket
        run.context.mark = mark
        verdict = run()
        return verdict, int(run.context.mark)

    def operate(self, op: Op, now: int, first: int = 0, second: int = 0) -> int:
        run = self.run["cb_operate"]
        run.context.tstamp = now
        run.context.cb[0], run.context.cb[1], run.context.cb[2] = op, first, second
        run()
        return int(run.context.cb[3])


NO_SOCKET = layout.TEST_SOCKETS  # an index that the map does not have
_hooks: Hooks | None = None


@pytest.fixture(scope="module", autouse=True)
def one_processor() -> Iterator[None]:
    """Counters are per processor: stay on one, and compare that one's whole table."""
    global _hooks
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    _hooks = Hooks()
    yield
    _hooks.node.close()
    _hooks = None
    os.sched_setaffinity(0, before)


def decode_mark(mark: int) -> Mark:
    charged = bool(mark & layout.MARK_CHARGED)
    return Mark(
        PacketClass(mark & layout.MARK_CLASS_MASK),
        bool(mark & layout.MARK_FROM_RESERVE),
        (mark >> layout.MARK_PAGES_SHIFT & 0xFF) if charged else 0,
        mark >> layout.MARK_SLOT_SHIFT & 0xF,
    )


ports = st.sampled_from((BLOCK, BEAT, OTHER))
sizes = st.sampled_from((0, 8, 100, 1448, 3400, 3500))
# Around whole pages of a stream, and across the wrap of sequence numbers.
sequences = st.builds(
    lambda page, byte: (2**32 - 20_480 + page * 4096 + byte) % 2**32,
    st.integers(0, 10),
    st.sampled_from((-1, 0, 1, 1448)),
)
transports = st.one_of(
    st.builds(lambda a, b, n: (frames.UDP, frames.udp(a, b, bytes(n))), ports, ports, sizes),
    st.builds(lambda a, b, n: (frames.SCTP, frames.sctp(a, b, bytes(n))), ports, ports, sizes),
    st.builds(
        lambda a, b, s, k, n: (frames.TCP, frames.tcp(a, b, s, k, bytes(n))),
        *(ports, ports, sequences, st.none() | sequences, sizes),
    ),
    st.tuples(st.sampled_from((frames.ICMP, frames.ICMPV6, 89, 0)), sizes.map(bytes)),
    st.tuples(st.sampled_from((frames.TCP, frames.UDP)), st.binary(max_size=19)),
)
packets = st.one_of(
    st.builds(
        lambda t, f: (frames.IP, frames.ipv4(*t, f)),
        transports,
        st.sampled_from((0, 0, 0, 0x4000, 0x2000, 0x2064, 0x0064)),
    ),
    st.builds(lambda t: (frames.IPV6, frames.ipv6(*t)), transports),
    st.builds(
        lambda t, o: (frames.IPV6, frames.ipv6(44, frames.ipv6_fragment(t[0], o, t[1]))),
        *(transports, st.sampled_from((0, 1448))),
    ),
    st.tuples(st.just(frames.ARP), st.just(bytes(28))),
    st.tuples(st.sampled_from((0x88CC, frames.IP, frames.IPV6)), st.binary(max_size=60)),
)
all_frames = st.builds(
    lambda packet, vlans: frames.frame(*packet, vlans),
    packets,
    st.sampled_from(((), (), (), (5,), (5, 6), (5, 6, 7))),
)
sockets = st.sampled_from((*range(SOCKETS), NO_SOCKET))
waits = st.sampled_from((0, 0, 1, 30, 64, 200, 900, 5000))


class TwoNodes(RuleBasedStateMachine):
    """One node by the reference, one by the hooks."""

    @initialize(
        total=st.integers(64, 200),
        reserve=st.integers(0, 60),
        clean=st.integers(0, 40),
        policy=st.sampled_from(Policy),
    )
    def size(self, total: int, reserve: int, clean: int, policy: Policy) -> None:
        assert _hooks is not None
        self.hooks = _hooks
        self.hooks.empty()
        self.model = CountingModel(rules=RULES, limits=LIMITS)
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

    def _socket(self, index: int) -> Socket | None:
        return None if index == NO_SOCKET else self.sockets[index]

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
    def transmit(self, frame: bytes, socket: int, wait: int) -> None:
        frame = frame.ljust(SHORTEST, b"\0")
        self.now += wait
        verdict, _ = self.hooks.call("cb_transmit", frame, self.now, socket)
        expected = self.model.transmit(frame, self._socket(socket), self.now)
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

    @rule(socket=st.integers(0, SOCKETS - 1), size=st.sampled_from((1, 1447, 1448, 2649)))
    def stream(self, socket: int, size: int) -> None:
        """The next bytes of a connection go out."""
        model = self.sockets[socket]
        sequence = (model.tx_base or 0) + model.tx_end
        segment = frames.tcp(OTHER, BLOCK, sequence, 1, bytes(size))
        self.transmit(frames.frame(frames.IP, frames.ipv4(frames.TCP, segment)), socket, 0)

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
    )
    def flag(self, index: int, memalloc: bool, writeback: bool, stalled: bool = False) -> None:
        raw = self.hooks.read_socket(index)
        raw.flags = memalloc * layout.SOCK_MEMALLOC | writeback * layout.SOCK_WRITEBACK
        raw.flags |= stalled * layout.SOCK_STALLED
        self.sockets[index].stalled = stalled
        self.hooks.write_socket(index, raw)
        self.sockets[index].memalloc = memalloc
        self.sockets[index].writeback = writeback

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
        self.model.pool.advance(self.now)
        self.model.pool.ask(pages)
        self.compare()

    @rule(pages=st.integers(0, 150), wait=waits)
    def clean(self, pages: int, wait: int) -> None:
        self.now += wait
        cleaned = self.hooks.operate(Op.CLEAN, self.now, pages)
        self.model.pool.advance(self.now)
        assert cleaned == self.model.pool.wash(pages)
        self.compare()

    @rule(wait=waits)
    def tick(self, wait: int) -> None:
        self.now += wait
        self.hooks.operate(Op.TICK, self.now)
        self.model.pool.advance(self.now)
        self.compare()

    @rule()
    def wake(self) -> None:
        self.hooks.operate(Op.WAKE, self.now)
        self.model.pool.advance(self.now)
        self.model.pool.wake()
        self.compare()

    @rule()
    def calm(self) -> None:
        self.hooks.operate(Op.CALM, self.now)
        self.model.pool.advance(self.now)
        self.model.pool.demand = 0
        self.compare()

    @rule(raised=st.booleans())
    def emergency(self, raised: bool) -> None:
        self.hooks.operate(Op.EMERGENCY, self.now, int(raised))
        self.model.pool.advance(self.now)
        self.model.emergency = raised
        self.compare()

    @rule(total=st.integers(1, 400), reserve=st.integers(0, 80))
    def resize(self, total: int, reserve: int) -> None:
        done = self.hooks.operate(Op.RESIZE, self.now, total, reserve)
        self.model.pool.advance(self.now)
        assert done == self.model.pool.resize(total, reserve)
        self.compare()

    @rule(clean=st.integers(0, 60))
    def reset(self, clean: int) -> None:
        self.hooks.operate(Op.RESET, self.now, clean)
        self.model.pool.advance(self.now)
        self.model.reset(clean)
        self.compare()

    @rule(after=st.integers(0, 300), length=st.integers(1, 800), level=st.integers(0, 30))
    def add_window(self, after: int, length: int, level: int) -> None:
        start = max(self.now, self.windows[-1].end if self.windows else 0) + after
        level = min(level, self.model.pool.reserve)
        self.windows.append(Window(start, start + length, level))
        node = self.hooks.node
        node.windows.entries[len(self.windows) - 1] = layout.Window(start, start + length, level)
        node.config.windows = len(self.windows)

    def compare(self) -> None:
        """Everything, after every step."""
        pool, model = self.hooks.node.pool, self.model.pool
        got = {name: int(getattr(pool, name)) for name in SAME_NAME}
        assert got == {name: int(getattr(model, name)) for name in SAME_NAME}
        assert list(pool.running.slot) == model.running.slots
        assert int(pool.running.pages) == model.running.pages
        assert bool(pool.emergency) == self.model.emergency
        softnet = self.model._policies[Policy.SOFTNET]
        assert isinstance(softnet, Softnet)
        assert int(pool.softnet_backlog_ns) == softnet.backlog_ns
        assert bool(pool.softnet_throttled) == softnet.throttled
        assert self.hooks.counters() == bytes(self.model.table)
        assert int(pool.journal_head) == self.model.journalled
        self.compare_sockets()
        self.check_pages()

    def compare_sockets(self) -> None:
        for index, socket in enumerate(self.sockets):
            raw = self.hooks.read_socket(index)
            assert bool(raw.tx_started) == (socket.tx_base is not None)
            if socket.tx_base is not None:
                got = (raw.tx_base, raw.tx_end, raw.tx_una, raw.generation)
                assert got == (socket.tx_base, socket.tx_end, socket.tx_una, socket.generation)
            assert list(raw.pool.slot) == socket.pool.slots
            held = (raw.hoarded, raw.wakes, raw.from_reserve)
            assert held == (socket.hoarded, socket.wakes, socket.from_reserve)

    def check_pages(self) -> None:
        pool = self.hooks.node.pool
        parts = [
            int(getattr(pool, name))
            for name in ("free", "clean", "dirty", "squeezed", "rx_stalled", "tx", "hoarded")
        ]
        parts.append(int(pool.running.pages))
        assert sum(parts) == int(pool.total), "pages are conserved"
        assert all(part <= int(pool.total) for part in parts), "none is negative (unsigned)"
        assert int(pool.low_water) <= int(pool.total), "the bottom is never passed"


def test_reference_and_hooks_agree() -> None:
    TwoNodes.TestCase.settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        # Shrinking 200 steps takes minutes; the step that fails says what differs.
        phases=(Phase.explicit, Phase.generate),
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    case = TwoNodes.TestCase("runTest")
    case.runTest()
