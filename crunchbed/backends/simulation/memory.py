"""The memory of a simulated node: the rules of ``reserve_agent/model`` and what an agent does.

``NodeMemory`` decides, as for an agent of namespaces; the pool is the model's own, in place of the
one that eBPF keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from crunchbed.backends.common.settings import clean_pages, port_rules
from crunchbed.backends.simulation.books import Books, reserve_users
from crunchbed.backends.simulation.looks import POLL_NS, Looks, Watched
from crunchbed.backends.simulation.loop import SimulatedLoop
from crunchbed.backends.simulation.packet import Datagram
from crunchbed.scenario.profiles import DEFAULT, profile_for
from crunchbed.scenario.schema import Scenario
from reserve_agent import tables
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.pressure import (
    PacketDropped,
    PressureBegan,
    PressureEnded,
    ReserveUsersCounted,
)
from reserve_agent.contract.packets import (
    PAGE_BYTES,
    WHEEL_LIFE,
    Hook,
    Limits,
    PacketClass,
    Policy,
    Reason,
    service_shift,
)
from reserve_agent.memory import NodeMemory, ReserveRule
from reserve_agent.model import transmit
from reserve_agent.model.node import NodeModel
from reserve_agent.model.packet import Packet, buffer_pages
from reserve_agent.model.pool import Window
from reserve_agent.model.sockets import Socket
from reserve_agent.record import NodeSummary


class SimulatedMemory:
    """Implements ``PoolControl`` and ``nodes.block.task.PagePool`` with the model's pool.

    Attributes:
        phase_ns: When within ``POLL_NS`` it looks, from the second time on: no two agents do so in
            step with each other, or with a crunch.

    Args:
        scenario: The scenario.
        loop: The run's.
        summary: What the node's history adds up to.
        record: Adds an event to the node's history.
        interfaces: Interfaces whose receive buffers the reserve must hold.
    """

    def __init__(
        self,
        scenario: Scenario,
        loop: SimulatedLoop,
        summary: NodeSummary,
        record: Callable[[Event], None],
        interfaces: int,
    ) -> None:
        memory = scenario.memory
        self._request_pages = scenario.block_io.request // PAGE_BYTES
        watched = Watched(self._look, self.sample, lambda: self.busy, self._goes_on)
        self._looks = Looks(loop, watched, summarised=scenario.summarised)
        profile = profile_for(memory) or DEFAULT
        self._loop = loop
        self._record = record
        self._clean = clean_pages(scenario)
        self._books: list[Books] = []
        self.phase_ns = POLL_NS
        self.model = NodeModel(
            rules=port_rules(scenario),
            limits=Limits(
                softnet_limit=scenario.softnet.limit, softnet_cost_ns=scenario.softnet.cost
            ),
            policy=Policy[scenario.policy.upper()],
            enforce=scenario.enforce,
            kernel=profile.kernel,
            card=profile.card,
            on_drop=self._note_drop,
        )
        self.state = self.model.pool
        self.state.service_shift = service_shift(memory.service_time)
        self.state.on_episode = self._note_episode
        self._life_ns = WHEEL_LIFE << self.state.service_shift
        fixed = None if memory.reserve == "auto" else memory.reserve
        rule = ReserveRule(fixed, interfaces, profile.kernel.reserved)
        self.manager = NodeMemory(
            self, memory.pages, rule, self.model.policy, lambda: summary.sockets, record
        )

    def begin(self) -> None:
        """Set the pool up, and watch it as an agent does, until the loop ends."""
        self.manager.begin(self._clean)
        self.manager.describe()
        self._looks.begin(self.phase_ns)

    @property
    def busy(self) -> bool:
        """Whether memory is short, is about to be, or is treated as if it were."""
        return not self.state.calm or self.model.emergency

    def _goes_on(self) -> bool:
        return self.busy or self.state.dirty >= self._request_pages

    def _look(self) -> None:
        self._advance()
        raised, pressure = self.model.emergency, self.state.pressure
        self.manager.watch_emergency(pressure=pressure, raised=raised)

    def _advance(self) -> None:
        self.model.advance(self._loop.now_ns())

    # --- what the agent does to the pool

    def snapshot(self) -> dict[str, int]:
        """Return the pool's counters; pages of 4 KiB."""
        pool = self.state
        names = ("total", "reserve", "border", "clean", "free", "dirty", "demand", "rx_stalled")
        held = {name: int(getattr(pool, name)) for name in (*names, "hoarded", "tx", "low_water")}
        return held | {"rx_running": pool.running.pages, "stock": pool.stock}

    @property
    def waiting(self) -> int:
        """Pages that tasks wait for."""
        return self.state.demand + self.state.wanted

    def resize(self, total: int, reserve: int) -> bool:
        """Set the size and the reserve; False where what is in use would not fit."""
        self._advance()
        return self.state.resize(total, reserve)

    def reset(self, clean: int) -> None:
        """The node rebooted: only ``clean`` pages are in use."""
        self._advance()
        self.model.reset(clean)
        self._books.clear()
        self._looks.note_change()

    def set_emergency(self, *, raised: bool) -> None:
        """Raise or lower the flag that the policy ``critical`` obeys."""
        self.model.emergency = raised

    def switch(self, policy: str) -> None:
        """Follow another policy from the next packet on."""
        self.model.policy = Policy[policy.upper()]
        self.manager.switch(self.model.policy)

    def add_windows(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """Leave few free pages in each window: begin and end, nanoseconds, and pages."""
        self._advance()
        self.state.windows = [*self.state.windows, *(Window(*one) for one in windows)]
        for start, end, _ in windows:
            self._loop.at(start, self._advance)
            self._loop.at(end, self._advance)
        self._looks.stir()

    def wake(self) -> None:
        """Have readers that did not read do so."""
        self._advance()
        self.model.wake()

    # --- what writeback does to it

    def dirty(self, pages: int) -> None:
        """Have normal tasks ask for pages to dirty; those that the pool refuses wait."""
        self._advance()
        self.state.ask(pages)
        self._looks.stir()

    def clean(self, pages: int) -> int:
        """Free dirty pages that were written; return how many were dirty."""
        self._advance()
        return self.state.wash(pages)

    def swap(self, pages: int, level: int) -> None:
        """Have tasks that leave ``level`` pages free want more, which must be written first."""
        self._advance()
        self.state.swap(pages, level)
        self._looks.stir()

    def calm(self) -> None:
        """Have the tasks that wait give up."""
        self._advance()
        self.state.give_up()

    # --- what packets do to it

    def open(self, books: Books) -> Books:
        """A socket is made."""
        self._books.append(books)
        return books

    def close(self, books: Books) -> None:
        """A socket is closed; who read of its reserve is still told at the end."""
        self.model.release(books.socket)

    def leaves(self, packet: Datagram, books: Books | None) -> bool:
        """Whether a packet that a host sends gets its pages; several frames get all or none."""
        now, socket = self._loop.now_ns(), None if books is None else books.socket
        if packet.frames > 1 and not self._leave_as_one(packet, socket, now):
            return False
        return self.model.transmit(packet, socket, now)

    def _leave_as_one(self, packet: Datagram, socket: Socket | None, now: int) -> bool:
        """Whether several frames may leave as one: the first charges all that a stream has."""
        model, pool = self.model, self.state
        pages = packet.frames * buffer_pages(packet.bytes)
        if model.undisturbed(pages + packet.segment.queued // PAGE_BYTES + 1, now):
            return True
        if socket is None or socket.closed or not packet.segment.bytes:
            return False
        self._advance()
        asks = transmit.request(model.kernel, socket, model.in_force, packet.cls, streamed=True)
        floor = model.kernel.floors.pages(asks, pool.reserve)
        return transmit.growth(pool, socket, packet.segment).want <= pool.free - floor

    def comes_calmly(self, packet: Datagram, books: Books | None, *, socketless: bool) -> bool:
        """Whether nothing could happen to a packet's frames, which are booked then."""
        frames, spread = packet.frames, packet.spread_ns
        at_once = min(frames, self._life_ns * frames // spread + 2) if spread else frames
        socket = None if books is None else books.socket
        until = self._loop.now_ns() + spread + 2 * self._life_ns
        return self.model.pass_calm(packet, socket, at_once, until, socketless=socketless)

    @property
    def unmoved(self) -> bool:
        """Whether a packet that comes is not booked, and one that leaves makes no new low."""
        return self.model.unbooked and self.state.has_room(1)

    def calm_pages(self, length: int) -> dict[Hook, int]:
        """Return what each hook counts of a packet of ``length`` bytes while ``unmoved``."""
        buffers = self.model.buffers
        sent = buffers.outgoing(length)
        return {Hook.TRANSMIT: sent, Hook.RECEIVE: sent, Hook.DELIVER: buffers.unbooked(length)}

    def count_calm(self, packets: int, cls: PacketClass, pages: Mapping[Hook, int]) -> None:
        """Count packets that were sent, and as many that came, of so many pages each."""
        for hook, each in pages.items():
            self.model.packets[hook, cls, Reason.GRANTED] += packets
            self.model.pages[hook, cls, Reason.GRANTED] += packets * each

    def comes(self, packet: Datagram, books: Books | None, *, socketless: bool) -> bool:
        """Whether a received frame reaches its socket, or its host where it is for none."""
        now = self._loop.now_ns()
        mark = self.model.receive(packet, now)
        if mark is None or socketless:
            return mark is not None
        return self.model.deliver(packet, mark, None if books is None else books.socket, now)

    def loses(self, packet: Datagram) -> None:
        """A fault has lost a frame."""
        self.model.lose(packet, self._loop.now_ns())

    def sample(self) -> None:
        """Record the pool's counters."""
        self._record(tables.sampled(self.snapshot()))

    def count_packets(self) -> None:
        """Record the packet counters."""
        packets, pages = self.model.packets, self.model.pages
        self._record(
            tables.packets_counted({key: (packets[key], pages[key]) for key in sorted(packets)})
        )
        self.sample()

    def count_reserve_users(self) -> None:
        """Record the sockets that pages of the reserve went to."""
        self._record(ReserveUsersCounted(table=list(reserve_users(self._books))))

    def _note_episode(self, what: str, t: int, value: int) -> None:
        if what == "begin":
            self._record(PressureBegan(t=t, free=value))
            self._looks.stir()
        else:
            self._record(PressureEnded(t=t, since=value, duration_ns=t - value))

    def _note_drop(self, hook: Hook, packet: Packet, reason: Reason, pages: int) -> None:
        """Write down what somebody will ask about, as the hooks do."""
        if packet.cls is PacketClass.OTHER or not isinstance(packet, Datagram):
            return
        self._record(
            PacketDropped(
                t=self.state.now,
                hook=hook.name.lower(),
                reason=reason.name.lower(),
                cls=packet.cls.label,
                src=packet.source,
                dst=packet.destination,
                tag=packet.tag,
                pages=pages,
            )
        )
