"""What the rules know of a socket."""

from __future__ import annotations

from dataclasses import dataclass, field

from reserve_agent.model.wheel import Wheel


@dataclass
class Socket:
    """A socket of the node.

    Attributes:
        memalloc: Its user throttles it, and it may draw on the reserve (SO_MEMALLOC).
        writeback: The PF_MEMALLOC writeback task writes to it, under every policy.
        stalled: Its reader does not read.
        realtime: A real-time task writes to it.
        closed: Its write queue is gone.
        generation: Boot of the node that its write queue belongs to.
        tx_base: TCP sequence number of the first byte charged; None before that.
        tx_end: Bytes charged since ``tx_base``.
        tx_una: Bytes acknowledged since ``tx_base``.
        wakes: The pool's count when ``hoarded`` and ``unread`` were counted.
        hoarded: Pages of its own mempool that a stalled reader keeps.
        unread: Bytes of truesize that a stalled reader has in its receive buffer.
        receive_buffer: Bytes that it may have there; 0 = as many as is the kernel's default.
        from_reserve: Pages that it was ever handed from the reserve.
        pool: Pages that it holds of its own mempool.
    """

    memalloc: bool = False
    writeback: bool = False
    stalled: bool = False
    realtime: bool = False
    closed: bool = False
    generation: int = 0
    tx_base: int | None = None
    tx_end: int = 0
    tx_una: int = 0
    wakes: int = 0
    hoarded: int = 0
    unread: int = 0
    receive_buffer: int = 0
    from_reserve: int = 0
    pool: Wheel = field(default_factory=Wheel)

    def catch_up(self, wakes: int) -> None:
        """A stalled reader has read all, if the pool has woken readers since."""
        if self.wakes != wakes:
            self.wakes = wakes
            self.hoarded = self.unread = 0
