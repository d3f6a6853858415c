"""The classic detector: a peer that is silent for a fixed time is taken for dead."""

from __future__ import annotations

from nodes.membership.detectors.stream import StreamDetector, Watched


class FixedDeadline(StreamDetector):
    """Linux-HA's rule: a peer is dead after ``deadtime`` of silence, and late after ``warntime``.

    Without ``deadtime_ns``, a number of misses in a row decides: (misses + 1/2) intervals of
    silence, half an interval for heartbeats on their way.

    Args:
        interval_ns: Linux-HA's ``keepalive``.
        misses: Misses in a row that make a suspicion; at least 1.
        grace_ns: How long a newly watched peer may take until it is first heard.
        deadtime_ns: Silence that makes a suspicion, instead of ``misses``.
        warntime_ns: Silence that makes a warning; None for no warnings.
        initdead_ns: By when a newly watched peer must have been heard, or it is suspected. None: it
            is missed after ``grace_ns``, and suspected as much later as after any first miss.
    """

    def __init__(
        self,
        interval_ns: int,
        misses: int,
        grace_ns: int,
        *,
        deadtime_ns: int | None = None,
        warntime_ns: int | None = None,
        initdead_ns: int | None = None,
    ) -> None:
        if interval_ns < 2 or misses < 1 or grace_ns < 0:
            raise ValueError(f"no detector with {interval_ns=}, {misses=}, {grace_ns=}")
        if deadtime_ns is not None and deadtime_ns <= interval_ns:
            raise ValueError(f"no detector with {interval_ns=}, {deadtime_ns=}")
        super().__init__(interval_ns, grace_ns if initdead_ns is None else initdead_ns)
        self._deadtime_ns = (
            misses * interval_ns + interval_ns // 2 if deadtime_ns is None else deadtime_ns
        )
        self._warntime_ns = warntime_ns
        self._initdead_ns = initdead_ns

    def _arrived(self, watched: Watched, at_ns: int) -> None:
        watched.suspect_ns = at_ns + self._deadtime_ns
        if self._warntime_ns is not None:
            watched.warn_ns = at_ns + self._warntime_ns

    def _unheard(self, watched: Watched) -> None:
        watched.suspect_ns = watched.deadline_ns
        if self._initdead_ns is None:
            watched.suspect_ns += max(0, self._deadtime_ns - self._patience_ns)
