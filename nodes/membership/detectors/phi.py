"""The phi accrual detector (Hayashibara, Defago, Yared, Katayama, SRDS 2004).

Suspicion is a number: phi(t) = -log10(P(a heartbeat comes later than t after the last)), with the
distribution taken from the peer's own past intervals. The normal distribution's tail is computed
by the logistic approximation that Akka uses (akka.remote.PhiAccrualFailureDetector)::

    y = (t - mean) / deviation
    e = exp(-y * (1.5976 + 0.070566 * y * y))
    phi = -log10(e / (1 + e))
"""

from __future__ import annotations

import math
from collections import deque

from nodes.membership.detectors.stream import StreamDetector, Watched


def deviations_at(threshold: float) -> float:
    """Return how many standard deviations after the mean phi reaches ``threshold`` (> 0).

    This is the inverse of the approximation. The exponent is odd and grows with y, so that a
    bisection finds the only y at which e = 1 / (10 ** threshold - 1).
    """
    log_ten = threshold * math.log(10)
    # 10 ** threshold - 1 overflows for large thresholds, where the 1 does not count.
    wanted = math.log(math.expm1(log_ten)) if log_ten < 30 else log_ten
    low, high = -10.0, 10.0
    while high * (1.5976 + 0.070566 * high * high) < wanted:
        high *= 2
    while low * (1.5976 + 0.070566 * low * low) > wanted:
        low *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if middle * (1.5976 + 0.070566 * middle * middle) < wanted:
            low = middle
        else:
            high = middle
    return high


class Intervals:
    """The last ``size`` intervals between two heartbeats, with mean and standard deviation."""

    def __init__(self, size: int, first: tuple[int, ...]) -> None:
        self._kept: deque[int] = deque(maxlen=size)
        self._sum = 0
        self._squares = 0  # a whole number, so that no rounding errors add up
        for interval in first:
            self.add(interval)

    def add(self, interval_ns: int) -> None:
        """Take in one interval, in nanoseconds; the oldest is dropped when there are too many."""
        if len(self._kept) == self._kept.maxlen:
            oldest = self._kept[0]
            self._sum -= oldest
            self._squares -= oldest * oldest
        self._kept.append(interval_ns)
        self._sum += interval_ns
        self._squares += interval_ns * interval_ns

    @property
    def mean_ns(self) -> float:
        """Mean of the intervals."""
        return self._sum / len(self._kept)

    @property
    def deviation_ns(self) -> float:
        """Standard deviation of the intervals."""
        count = len(self._kept)
        return math.sqrt(count * self._squares - self._sum * self._sum) / count


class PhiAccrual(StreamDetector):
    """Suspects a peer when phi reaches ``threshold``; parameters by Akka's names.

    Args:
        interval_ns: ``heartbeat_interval``; decides what is a miss, not which peer is suspected.
        grace_ns: How long a newly watched peer may take until it is first heard.
        threshold: Phi at which a peer is suspected; above 0.
        max_sample_size: How many intervals are remembered of each peer; at least 1.
        min_std_deviation_ns: Least standard deviation that is reckoned with.
        acceptable_heartbeat_pause_ns: Silence that is accepted on top of the mean.
        first_heartbeat_estimate_ns: The mean to begin with; the deviation is a quarter of it.
    """

    def __init__(
        self,
        interval_ns: int,
        grace_ns: int,
        *,
        threshold: float,
        max_sample_size: int,
        min_std_deviation_ns: int,
        acceptable_heartbeat_pause_ns: int,
        first_heartbeat_estimate_ns: int,
    ) -> None:
        if interval_ns < 2 or grace_ns < 0 or threshold <= 0 or max_sample_size < 1:
            raise ValueError(f"no detector with {interval_ns=}, {threshold=}, {max_sample_size=}")
        super().__init__(interval_ns, grace_ns)
        self._deviations = deviations_at(threshold)
        self._size = max_sample_size
        self._least_ns = min_std_deviation_ns
        self._pause_ns = acceptable_heartbeat_pause_ns
        quarter = first_heartbeat_estimate_ns // 4
        self._first = (first_heartbeat_estimate_ns - quarter, first_heartbeat_estimate_ns + quarter)
        self._intervals: dict[str, Intervals] = {}

    def forget(self, peer: str) -> None:
        """See ``Detector.forget``."""
        self._intervals.pop(peer, None)
        super().forget(peer)

    def silence_ns(self, peer: str) -> int:
        """Return the silence after which ``peer``, which is watched, is suspected."""
        known = self._intervals[peer]
        deviation = max(known.deviation_ns, self._least_ns)
        silence = known.mean_ns + self._pause_ns + self._deviations * deviation
        return max(1, math.ceil(silence))

    def _arrived(self, watched: Watched, at_ns: int) -> None:
        # As in Akka: a silence that made a suspicion is no sample of the usual intervals.
        if watched.last_seq and not watched.suspected:
            self._intervals[watched.peer].add(at_ns - watched.last_ns)
        watched.suspect_ns = at_ns + self.silence_ns(watched.peer)

    def _unheard(self, watched: Watched) -> None:
        self._intervals[watched.peer] = Intervals(self._size, self._first)
        after = max(0, self.silence_ns(watched.peer) - self._patience_ns)
        watched.suspect_ns = watched.deadline_ns + after
