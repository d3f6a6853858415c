"""The five policies, as small classes.

``None`` for a verdict means: go on; otherwise it is the reason of the drop. What every policy is
for, and where it comes from, stands in docs/policies.md. Under a kernel profile ``none`` and
``memalloc`` are states of that kernel: no socket is flagged, or some are.
"""

from __future__ import annotations

from reserve_agent.contract.packets import Limits, Policy, Reason
from reserve_agent.model.pool import Pool
from reserve_agent.model.profiles.kernel import Flags
from reserve_agent.model.sockets import Socket


class Rules:
    """What a policy decides; by itself ``none``: every packet may go down to the atomic floor.

    Attributes:
        honours_flags: Whether a memalloc socket counts for anything; then a receive buffer may go
            down to the bottom.
        throttles: Whether packets may be refused without pressure.
    """

    honours_flags = False
    throttles = False

    def before_classification(self, pool: Pool) -> Reason | None:
        """Verdict on a packet that has its buffer and has not been looked at."""
        return None

    def without_socket(self, emergency: bool, from_reserve: bool, vm_aware: bool) -> Reason | None:
        """Verdict on a packet that no socket will be asked about."""
        return None

    def with_socket(
        self, pool: Pool, socket: Socket | None, emergency: bool, from_reserve: bool, pages: int
    ) -> Reason | None:
        """Verdict after socket lookup."""
        return None


class Memalloc(Rules):
    """The 2005 plan: receive into the reserve, look up the socket, drop what is not memalloc."""

    honours_flags = True

    def without_socket(self, emergency: bool, from_reserve: bool, vm_aware: bool) -> Reason | None:
        """Protocols that do not know these rules get nothing from the reserve."""
        return Reason.NOT_VM_AWARE if from_reserve and not vm_aware else None

    def with_socket(
        self, pool: Pool, socket: Socket | None, emergency: bool, from_reserve: bool, pages: int
    ) -> Reason | None:
        """``from_reserve(skb) && !is_memalloc(sock)`` -> drop."""
        memalloc = socket is not None and socket.memalloc
        return Reason.NOT_MEMALLOC if from_reserve and not memalloc else None


class NoFlags(Rules):
    """``none`` in a kernel that knows the flag: nobody has it, and a driver may always ask."""

    def with_socket(
        self, pool: Pool, socket: Socket | None, emergency: bool, from_reserve: bool, pages: int
    ) -> Reason | None:
        """``sk_filter`` drops what is from the reserve."""
        return Reason.NOT_MEMALLOC if from_reserve else None


class Softnet(Memalloc):
    """The same, behind a softnet queue that throttles before it knows what a packet is."""

    throttles = True

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.backlog_ns = 0
        self.since = 0
        self.throttled = False

    def before_classification(self, pool: Pool) -> Reason | None:
        """Full, the queue drops everything until it has drained, as in 2.6.12."""
        cost = self._limits.softnet_cost_ns
        self.backlog_ns = max(0, self.backlog_ns - (pool.now - self.since))
        self.since = pool.now
        if not self.backlog_ns:
            self.throttled = False
        elif self.backlog_ns >= self._limits.softnet_limit * cost:
            self.throttled = True
        if self.throttled:
            return Reason.SOFTNET_THROTTLED
        self.backlog_ns += cost
        return None

    def reset(self) -> None:
        """The node rebooted."""
        self.backlog_ns = 0
        self.throttled = False


class Mempool(Memalloc):
    """Every throttled socket has its own pool and can starve nobody but itself."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def with_socket(
        self, pool: Pool, socket: Socket | None, emergency: bool, from_reserve: bool, pages: int
    ) -> Reason | None:
        """Charged to the socket's pool; no pool means unthrottled and dropped."""
        if not from_reserve:
            return None
        if socket is None or not socket.memalloc:
            return Reason.NO_POOL
        socket.pool.turn(pool.tick)
        socket.catch_up(pool.wakes)
        if socket.pool.pages + socket.hoarded + pages > self._limits.mempool_pages:
            return Reason.POOL_EMPTY
        if socket.stalled:
            socket.hoarded += pages
        else:
            socket.pool.put(pages)
        return None


class Critical(Memalloc):
    """An emergency flag, raised when somebody has seen the pressure, decides for all packets."""

    def without_socket(self, emergency: bool, from_reserve: bool, vm_aware: bool) -> Reason | None:
        """While the flag is up, wherever the buffer came from."""
        return Reason.NOT_VM_AWARE if emergency and not vm_aware else None

    def with_socket(
        self, pool: Pool, socket: Socket | None, emergency: bool, from_reserve: bool, pages: int
    ) -> Reason | None:
        """While the flag is up only critical sockets are served."""
        critical = socket is not None and socket.memalloc
        return Reason.NOT_CRITICAL if emergency and not critical else None


def all_policies(limits: Limits, flags: Flags = Flags.POLICY) -> dict[Policy, Rules]:
    """One of each, for one node; where nobody knows the flag, ``memalloc`` is ``none``."""
    none = NoFlags() if flags is Flags.SOCKETS else Rules()
    return {
        Policy.NONE: none,
        Policy.SOFTNET: Softnet(limits),
        Policy.MEMALLOC: none if flags is Flags.NOBODY else Memalloc(),
        Policy.MEMPOOL: Mempool(limits),
        Policy.CRITICAL: Critical(),
    }


def reader_runs(socket: Socket | None, rules: Rules) -> bool:
    """Whether a socket's reader runs under pressure; writeback always does."""
    if socket is None or socket.stalled:
        return False
    return socket.writeback or (rules.honours_flags and socket.memalloc)
