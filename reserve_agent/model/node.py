"""One node by the rules: what becomes of received, delivered and sent packets, and of the pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reserve_agent.contract.packets import Hook, Limits, PacketClass, Policy, PortRule, Reason
from reserve_agent.model import transmit
from reserve_agent.model.card_buffers import receive_buffers
from reserve_agent.model.fate import Fate
from reserve_agent.model.mark import Mark
from reserve_agent.model.packet import Packet, buffer_pages, read
from reserve_agent.model.policies import Rules, Softnet, all_policies, reader_runs
from reserve_agent.model.pool import Pool
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Flags, Kernel, Request
from reserve_agent.model.profiles.proposal_2005 import PROPOSAL_2005
from reserve_agent.model.reclaim import NormalTasks
from reserve_agent.model.sockets import Socket


@dataclass
class NodeModel:
    """The rules applied to one node; a packet is a frame's bytes, or what was read of it.

    Attributes:
        rules: Port rules that give packets their class.
        limits: Settings of the policies.
        policy: In force; may be switched at any time.
        enforce: Refuse protocols that are not vm-aware always.
        kernel: Profile of its kernel, and
        card: of its network card; None where the kernel profile has no buffers.
        emergency: The flag of the ``critical`` policy.
        flagged: Sockets that ``flag`` has flagged. A socket that closes stays in the sum
            (``memalloc_socks_key``: nobody takes it off).
        keepers: Sockets whose readers ``stall`` has stopped; what is closed stays in the sum.
        on_drop: Told of every packet that is dropped, with the pages that it took or lacked.
        packets: Frames by hook, class and reason, and
        pages: the pages they stood for.
    """

    rules: Sequence[PortRule] = ()
    limits: Limits = field(default_factory=Limits)
    policy: Policy = Policy.NONE
    enforce: bool = False
    kernel: Kernel = PROPOSAL_2005
    card: Card | None = None
    pool: Pool = field(default_factory=Pool)
    emergency: bool = False
    flagged: int = 0
    keepers: int = 0
    on_drop: Callable[[Hook, Packet, Reason, int], None] = lambda _hook, _packet, _why, _pages: None
    packets: Counter[tuple[Hook, PacketClass, Reason]] = field(default_factory=Counter)
    pages: Counter[tuple[Hook, PacketClass, Reason]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._policies = all_policies(self.limits, self.kernel.flags)
        self.buffers = receive_buffers(self.pool, self.kernel, self.card)
        self.tasks = NormalTasks(self.pool, self.kernel.reclaim)
        self.pool.exact = self.kernel.buffers is not None

    @property
    def in_force(self) -> Rules:
        """The rules of the policy in force."""
        return self._policies[self.policy]

    @property
    def memalloc(self) -> bool:
        """Whether the receive reserve is open."""
        if self.kernel.flags is Flags.SOCKETS and self.policy is Policy.MEMALLOC:
            return self.flagged > 0
        return self.in_force.honours_flags

    def flag(self, socket: Socket, memalloc: bool) -> None:
        """Set or clear a socket's flag, as its user asks."""
        self.flagged += memalloc - socket.memalloc
        socket.memalloc = memalloc

    def stall(self, socket: Socket, stalled: bool) -> None:
        """Have a socket's reader not read, or read again what comes from now on."""
        self.keepers += stalled - socket.stalled
        socket.stalled = stalled

    @property
    def lenient(self) -> bool:
        """Whether no rule refuses or keeps a packet, as long as memory is not short."""
        picky = self.emergency or self.enforce or self.in_force.throttles
        return not picky and self.keepers <= 0 and self.buffers.at_rest

    @property
    def unbooked(self) -> bool:
        """Whether a packet that comes now is only counted: ``border.py`` says why it may be."""
        return self.pool.free > self.pool.border and self.pool.calm and self.lenient

    def _read(self, frame: bytes | Packet, queued: int = 0) -> Packet:
        return frame if isinstance(frame, Packet) else read(frame, self.rules, queued)

    def _count(
        self, hook: Hook, packet: Packet, reason: Reason, pages: int, cls: PacketClass | None = None
    ) -> None:
        """Count a packet under its class, or under the one that its mark has."""
        key = (hook, packet.cls if cls is None else cls, reason)
        self.packets[key] += packet.frames
        self.pages[key] += pages
        if not reason.passed:
            self.on_drop(hook, packet, reason, pages)

    def advance(self, now: int) -> None:
        """Bring pool and buffers to ``now``."""
        self.pool.advance(now)
        self.buffers.turn()

    def receive(self, frame: bytes | Packet, now: int) -> Mark | None:
        """The driver's receive buffer; None where the packet is dropped."""
        packet, pool = self._read(frame), self.pool
        if self.unbooked:
            self._count(Hook.RECEIVE, packet, Reason.GRANTED, self.buffers.outgoing(packet.bytes))
            return Mark(packet.cls, False, self._held(packet), 0)
        self.advance(now)
        taken = self.buffers.take(packet.bytes, self.memalloc)
        reason = taken.refused or (
            self.in_force.before_classification(pool)
            or self._refuse_protocol(packet)
            or self.in_force.without_socket(
                self.emergency, taken.from_reserve, self._is_vm_aware(packet)
            )
            or (Reason.FROM_RESERVE if taken.from_reserve else Reason.GRANTED)
        )
        self._count(Hook.RECEIVE, packet, reason, taken.pages)
        if not reason.passed:
            if taken.refused is None:
                self.buffers.drop(taken.origin)
            return None
        held, slot = self.buffers.hold(taken)
        held = 0 if packet.fragment else held
        return Mark(packet.cls, taken.from_reserve, held, slot, taken.origin, bool(held))

    def _held(self, packet: Packet) -> int:
        """What deliver counts of a packet that is not booked."""
        return 0 if packet.fragment else self.buffers.unbooked(packet.bytes)

    def lose(self, packet: Packet, now: int) -> None:
        """A fault loses a packet on the wire, before the driver sees it."""
        self.advance(now)
        self._count(Hook.RECEIVE, packet, Reason.LOST, 0)

    def _is_vm_aware(self, packet: Packet) -> bool:
        """Whether a packet's protocol passes from the reserve."""
        known = self.kernel.ethertypes
        return packet.vm_aware if known is None else packet.type in known

    def _refuse_protocol(self, packet: Packet) -> Reason | None:
        """With ``enforce``, refuse a protocol that does not know these rules, pressure or not."""
        aware = packet.protocol_is_vm_aware or self._is_vm_aware(packet)
        return Reason.NOT_VM_AWARE if self.enforce and not aware else None

    def deliver(self, frame: bytes | Packet, mark: Mark, socket: Socket | None, now: int) -> bool:
        """The protocol handler after socket lookup; False where the packet is dropped."""
        packet, pool = self._read(frame), self.pool
        if not mark.pages and not mark.from_reserve:
            return True  # a datagram whose first fragment took nothing from the reserve
        stalled = socket is not None and socket.stalled
        booked = mark.booked and (stalled or not pool.calm)
        if mark.from_reserve or self.emergency or booked:
            self.advance(now)
        reason = self.in_force.with_socket(
            pool, socket, self.emergency, mark.from_reserve, mark.pages
        ) or self._overfill(socket, mark)
        if reason is not None:
            self._settle(mark, Fate.DROPPED)
            self._count(Hook.DELIVER, packet, reason, mark.pages, mark.cls)
            return False
        if stalled:
            self._settle(mark, Fate.HOARDED)
        elif self._waits(socket):
            self._settle(mark, Fate.WAITS)
        if socket is not None and mark.from_reserve:
            socket.from_reserve += mark.pages
        passed = Reason.FROM_RESERVE if mark.from_reserve else Reason.GRANTED
        self._count(Hook.DELIVER, packet, passed, mark.pages, mark.cls)
        self._acknowledge(packet, socket)
        return True

    def undisturbed(self, pages: int, until: int) -> bool:
        """As ``Pool.roomy``, for pages that come and go by ``until``: a window may begin later."""
        return self.pool.calm_until(until) and self.pool.has_room(pages)

    def pass_calm(
        self,
        packet: Packet,
        socket: Socket | None,
        at_once: int,
        until: int,
        *,
        socketless: bool = False,
    ) -> bool:
        """Receive and deliver frames that come by ``until``, if none is booked, as ``unbooked``.

        False, and nothing has happened: they are to be judged one by one. At most ``at_once`` are
        there unread at any moment. What is ``socketless``, as ARP or another host's, is not
        delivered.
        """
        pool = self.pool
        pages, margin = at_once * buffer_pages(packet.bytes), pool.border - pool.reserve
        if pool.free <= pool.border or pages > margin:
            return False
        if not pool.calm_until(until) or not self.lenient:
            return False
        taken, held = self.buffers.outgoing(packet.bytes), self._held(packet)
        self._count(Hook.RECEIVE, packet, Reason.GRANTED, packet.frames * taken)
        if not socketless:
            self._count(Hook.DELIVER, packet, Reason.GRANTED, packet.frames * held)
            self._acknowledge(packet, socket)
        return True

    def _acknowledge(self, packet: Packet, socket: Socket | None) -> None:
        if socket is not None and packet.acknowledged is not None:
            transmit.acknowledge(self.pool, socket, packet.acknowledged)
            self.pool.account(self.pool.now)

    def _settle(self, mark: Mark, fate: Fate) -> None:
        if mark.booked:
            self.buffers.settle(mark.origin, mark.pages, mark.slot, fate)

    def _waits(self, socket: Socket | None) -> bool:
        """Whether the reader is a normal task that waits for the end of the pressure."""
        stalls = self.kernel.readers_stall and self.pool.pressure
        return stalls and not reader_runs(socket, self.in_force)

    def _overfill(self, socket: Socket | None, mark: Mark) -> Reason | None:
        """A reader that does not read is bounded by its receive buffer, flagged or not."""
        kernel = self.kernel.buffers
        if kernel is None or socket is None or not socket.stalled or not mark.booked:
            return None
        socket.catch_up(self.pool.wakes)
        if socket.unread > (socket.receive_buffer or kernel.receive_buffer):
            return Reason.BUFFER_FULL
        socket.unread += self.buffers.truesize[mark.origin]
        return None

    def transmit(
        self, frame: bytes | Packet, socket: Socket | None, now: int, queued: int = 0
    ) -> bool:
        """The driver's transmit buffer; False: the sender stalls. ``queued`` bytes wait behind."""
        packet, pool = self._read(frame, queued), self.pool
        segment = packet.segment
        streamed = socket if segment.bytes and socket is not None and not socket.closed else None
        request = transmit.request(
            self.kernel, socket, self.in_force, packet.cls, streamed=streamed is not None
        )
        floor = self.kernel.floors.pages(request, pool.reserve)
        margin = transmit.margin(pool, streamed, segment)
        if streamed is None:
            pages = self.buffers.outgoing(packet.bytes)
            grown = transmit.Growth(0, pages, pages)
        else:
            grown = transmit.growth(pool, streamed, segment)
        roomy = margin is not None and pool.roomy(grown.want + margin)
        if not roomy:
            self.advance(now)
        if grown.need and pool.free < floor + grown.need:
            self._count(Hook.TRANSMIT, packet, self._refusal(request, floor), grown.need)
            return False
        pages = grown.need
        if streamed is not None:
            pages = transmit.charge(pool, streamed, segment, grown, floor)
            pool.account(pool.now)
        elif not roomy:
            pool.low_water = min(pool.low_water, pool.free - pages)
            if pool.free <= floor:
                self.buffers.sink()
        self._count(Hook.TRANSMIT, packet, Reason.GRANTED, pages)
        return True

    def _refusal(self, request: Request, floor: int) -> Reason:
        if floor == self.pool.reserve or request is Request.REALTIME:
            return Reason.TX_STALLED
        return Reason.ALLOC_FAILED if floor else Reason.RESERVE_EXHAUSTED

    def wake(self) -> None:
        """Readers that did not read do so at last."""
        self.buffers.wake()
        self.pool.wake()

    def release(self, socket: Socket) -> None:
        """A socket is closed."""
        transmit.close(self.pool, socket)
        self.pool.account(self.pool.now)

    def reset(self, clean: int) -> None:
        """The node rebooted: sockets of its earlier life are gone, with their flags."""
        self.emergency = False
        self.flagged = self.keepers = self.tasks.fruitless = 0
        for rules in self._policies.values():
            if isinstance(rules, Softnet):
                rules.reset()
        self.pool.reset(clean)
        self.buffers.reset()
