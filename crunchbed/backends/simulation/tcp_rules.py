"""What TCP computes: its time-out, its window, and what has arrived. Pure.

Sources are files and names of Linux 6.1; times are nanoseconds, windows bytes.
"""

from __future__ import annotations

from typing import Final

from crunchbed.backends.simulation.tcp_packet import MSS

INITIAL_WINDOW: Final = 10 * MSS
"""TCP_INIT_CWND (include/net/tcp.h)."""
MOST_WINDOW: Final = 64 * 1024
"""A receiver's window: half of the 128 KiB of tcp_rmem's default (tcp_adv_win_scale = 1).

Linux lets it grow with the rate, which is not here: at 50 Mbit/s so much takes 10 ms."""
INITIAL_RTO_NS: Final = 1_000_000_000
"""TCP_TIMEOUT_INIT, also that of a SYN."""
LEAST_RTO_NS: Final = 200_000_000
"""TCP_RTO_MIN."""
MOST_RTO_NS: Final = 120_000_000_000
"""TCP_RTO_MAX: repetitions double the time-out up to here (``tcp_retransmit_timer``)."""
GIVE_UP_NS: Final = 924_600_000_000
"""tcp_retries2 = 15 doublings of TCP_RTO_MIN (``retransmits_timed_out``): then ETIMEDOUT."""
LOCAL_PROBE_NS: Final = 500_000_000
"""TCP_RESOURCE_PROBE_INTERVAL: when a repetition that found no memory here is tried again, without
doubling (``tcp_retransmit_timer``)."""
DELAYED_ACK_NS: Final = 40_000_000
"""TCP_DELACK_MIN: how long an acknowledgement waits for a second segment or for data."""
ACK_SEGMENTS: Final = 2
"""A receiver acknowledges every second full segment (RFC 5681, 4.2; ``__tcp_ack_snd_check``)."""
LEAST_FULL: Final = 536
"""TCP_MSS_DEFAULT: of smaller segments only more bytes than that are acknowledged at once, so that
NBD's answers wait for the next request, or 40 ms (``tcp_initialize_rcv_mss``)."""
BUNCH_SEGMENTS: Final = {"vmxnet3": 6}
"""By card, ``USUAL_BUNCH`` of others: what machines send arrives in bunches that are acknowledged
together (``tcp_add_backlog``, GRO). For a write of 12 segments a machine hears 3.0 frames with
vmxnet3, which hands the host unsegmented buffers, and 4.3 with e1000; one of them is the answer
(medians of 32 runs each, docs/fidelity.md)."""
USUAL_BUNCH: Final = 4
DUPLICATES: Final = 3
"""Duplicate acknowledgements that have a segment sent again (RFC 5681, 3.2)."""


class TimeOut:
    """How long a sender waits for an acknowledgement: RFC 6298 as in ``tcp_rtt_estimator``.

    Attributes:
        backoff: Repetitions in a row, each of which doubles the time.
    """

    def __init__(self) -> None:
        self.backoff = 0
        self._base = INITIAL_RTO_NS
        self._srtt = self._rttvar = 0

    @property
    def ns(self) -> int:
        """The time, as it is now."""
        return min(self._base << self.backoff, MOST_RTO_NS)

    def measure(self, rtt: int) -> None:
        """A segment was acknowledged so long after it was sent."""
        if not self._srtt:
            self._srtt, self._rttvar = rtt, rtt // 2
        else:
            self._rttvar += (abs(self._srtt - rtt) - self._rttvar) // 4
            self._srtt += (rtt - self._srtt) // 8
        self._base = min(self._srtt + max(4 * self._rttvar, LEAST_RTO_NS), MOST_RTO_NS)


class Window:
    """How much may be on its way: NewReno's congestion window (RFC 5681, RFC 6582).

    Attributes:
        bytes: So much.
    """

    def __init__(self) -> None:
        self.bytes = INITIAL_WINDOW
        self._threshold = MOST_WINDOW
        self._duplicates = 0
        self._recover = 0  # in recovery until this is acknowledged; 0: in none

    def grow(self, acknowledged: int, size: int, in_flight: int) -> bool:
        """``size`` bytes more were acknowledged; returns whether the next ones are lost too.

        It grows only if ``in_flight`` bytes were close to it (``tcp_is_cwnd_limited``).
        """
        self._duplicates = 0
        if acknowledged < self._recover:
            return True
        self._recover = 0
        if 2 * in_flight < self.bytes:
            return False
        grown = size if self.bytes < self._threshold else MSS * size // self.bytes
        self.bytes = min(self.bytes + grown, MOST_WINDOW)
        return False

    def duplicate(self, times: int, in_flight: int, sent: int) -> bool:
        """The same was acknowledged again; returns whether the next bytes are lost."""
        self._duplicates += times
        if self._duplicates < DUPLICATES or self._recover:
            return False
        self._recover = sent
        self.bytes = self._threshold = max(in_flight // 2, 2 * MSS)
        return True

    def collapse(self, in_flight: int) -> None:
        """Nothing was acknowledged in time."""
        self._threshold = max(in_flight // 2, 2 * MSS)
        self.bytes = MSS
        self._recover = self._duplicates = 0


class Arrived:
    """What a receiver has: everything before ``expected``, and some intervals beyond.

    Attributes:
        expected: Sequence number of the first byte that is missing.
    """

    def __init__(self) -> None:
        self.expected = 1
        self._far: list[tuple[int, int]] = []

    @property
    def far(self) -> int:
        """Where the first interval beyond begins; 0: there is none."""
        return self._far[0][0] if self._far else 0

    def add(self, begin: int, end: int) -> bool:
        """Bytes have come; returns whether ``expected`` has moved."""
        if begin > self.expected:
            self._far = sorted([*self._far, (begin, end)])
            return False
        if end <= self.expected:
            return False
        self.expected = end
        while self._far and self._far[0][0] <= self.expected:
            self.expected = max(self.expected, self._far.pop(0)[1])
        return True
