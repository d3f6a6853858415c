"""One node by the rules: what becomes of received, delivered and sent packets, and of the pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from reserve_agent.contract.packets import Hook, Limits, PacketClass, Policy, PortRule, Reason
from reserve_agent.model import transmit
from reserve_agent.model.packet import (
    Packet,
    buffer_pages,
    parse,
    read_acknowledgement,
    read_segment,
)
from reserve_agent.model.policies import Rules, Softnet, all_policies, reader_runs
from reserve_agent.model.pool import Fate, Pool
from reserve_agent.model.sockets import Socket


@dataclass(frozen=True)
class Mark:
    """What receive tells deliver about a packet, in ``skb->mark``.

    Attributes:
        cls: The packet's class.
        from_reserve: Its buffer was allocated under pressure.
        pages: Pages that deliver may settle; 0 for a fragment, whose pages leave by the clock.
        slot: Wheel slot that the pages are in.
    """

    cls: PacketClass
    from_reserve: bool
    pages: int
    slot: int


@dataclass
class NodeModel:
    """The rules applied to one node.

    Attributes:
        rules: Port rules that give packets their class.
        limits: Settings of the policies.
        policy: In force; may be switched at any time.
        enforce: Refuse protocols that are not vm-aware always.
        emergency: The flag of the ``critical`` policy.
        packets: Frames by hook, class and reason, and
        pages: the pages they stood for.
    """

    rules: Sequence[PortRule] = ()
    limits: Limits = field(default_factory=Limits)
    policy: Policy = Policy.NONE
    enforce: bool = False
    pool: Pool = field(default_factory=Pool)
    emergency: bool = False
    packets: Counter[tuple[Hook, PacketClass, Reason]] = field(default_factory=Counter)
    pages: Counter[tuple[Hook, PacketClass, Reason]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._policies = all_policies(self.limits)

    @property
    def in_force(self) -> Rules:
        """The rules of the policy in force."""
        return self._policies[self.policy]

    def _count(self, hook: Hook, cls: PacketClass, reason: Reason, pages: int) -> None:
        self.packets[hook, cls, reason] += 1
        self.pages[hook, cls, reason] += pages

    def receive(self, frame: bytes, now: int) -> Mark | None:
        """The driver's receive buffer; None where the packet is dropped."""
        packet, pages, pool = parse(frame, self.rules), buffer_pages(len(frame)), self.pool
        pool.advance(now)
        floor = self.in_force.floor(pool)
        from_reserve = pool.free - pages < pool.reserve
        if pool.free < floor + pages:
            reason = Reason.ALLOC_FAILED if floor else Reason.RESERVE_EXHAUSTED
        else:
            reason = (
                self.in_force.before_classification(pool)
                or self._refuse_protocol(packet)
                or self.in_force.without_socket(self.emergency, from_reserve, packet.vm_aware)
                or (Reason.FROM_RESERVE if from_reserve else Reason.GRANTED)
            )
        self._count(Hook.RECEIVE, packet.cls, reason, pages)
        if not reason.passed:
            return None
        slot = pool.hold(pages)
        return Mark(packet.cls, from_reserve, 0 if packet.fragment else pages, slot)

    def _refuse_protocol(self, packet: Packet) -> Reason | None:
        """With ``enforce``, refuse a protocol that does not know these rules, pressure or not."""
        refused = self.enforce and not packet.protocol_is_vm_aware
        return Reason.NOT_VM_AWARE if refused else None

    def deliver(self, frame: bytes, mark: Mark, socket: Socket | None, now: int) -> bool:
        """The protocol handler after socket lookup; False where the packet is dropped."""
        pool = self.pool
        if not mark.pages and not mark.from_reserve:
            return True  # a datagram whose first fragment took nothing from the reserve
        stalled = socket is not None and socket.stalled
        if mark.from_reserve or self.emergency or stalled or not pool.calm:
            pool.advance(now)
        reason = self.in_force.with_socket(
            pool, socket, self.emergency, mark.from_reserve, mark.pages
        )
        if reason is not None:
            pool.settle(mark.slot, mark.pages, Fate.DROPPED)
            self._count(Hook.DELIVER, mark.cls, reason, mark.pages)
            return False
        if stalled:
            pool.settle(mark.slot, mark.pages, Fate.HOARDED)
        elif pool.pressure and not reader_runs(socket, self.in_force):
            pool.settle(mark.slot, mark.pages, Fate.WAITS)
        if socket is not None and mark.from_reserve:
            socket.from_reserve += mark.pages
        passed = Reason.FROM_RESERVE if mark.from_reserve else Reason.GRANTED
        self._count(Hook.DELIVER, mark.cls, passed, mark.pages)
        number = read_acknowledgement(frame, parse(frame, self.rules))
        if socket is not None and number is not None:
            transmit.acknowledge(pool, socket, number)
            pool.account(pool.now)
        return True

    def transmit(self, frame: bytes, socket: Socket | None, now: int, queued: int = 0) -> bool:
        """The driver's transmit buffer; False where the sender stalls.

        ``queued`` bytes wait behind this segment in the socket's write queue.
        """
        packet, pool = parse(frame, self.rules), self.pool
        segment = read_segment(frame, packet, queued)
        floor = transmit.floor(pool, socket, self.in_force, packet.cls)
        streamed = socket if segment.bytes and socket is not None and not socket.closed else None
        margin = transmit.margin(pool, streamed, segment)
        if streamed is None:
            pages = buffer_pages(len(frame))
            grown = transmit.Growth(0, pages, pages)
        else:
            grown = transmit.growth(pool, streamed, segment)
        if margin is None or not pool.roomy(grown.want + margin):
            pool.advance(now)
        if grown.need and pool.free < floor + grown.need:
            self._count(Hook.TRANSMIT, packet.cls, self._refusal(floor), grown.need)
            return False
        pages = grown.need
        if streamed is not None:
            pages = transmit.charge(pool, streamed, segment, grown, floor)
            pool.account(pool.now)
        else:
            pool.low_water = min(pool.low_water, pool.free - pages)
        self._count(Hook.TRANSMIT, packet.cls, Reason.GRANTED, pages)
        return True

    def _refusal(self, floor: int) -> Reason:
        if floor == self.pool.reserve:
            return Reason.TX_STALLED
        return Reason.ALLOC_FAILED if floor else Reason.RESERVE_EXHAUSTED

    def release(self, socket: Socket) -> None:
        """A socket is closed."""
        transmit.close(self.pool, socket)
        self.pool.account(self.pool.now)

    def reset(self, clean: int) -> None:
        """The node rebooted."""
        self.emergency = False
        for rules in self._policies.values():
            if isinstance(rules, Softnet):
                rules.reset()
        self.pool.reset(clean)
