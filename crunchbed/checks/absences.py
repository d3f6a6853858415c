"""When a node was absent: from its power-off until the observers' views held it again."""

from __future__ import annotations

from bisect import bisect_left

from crunchbed.checks.lives import downtimes
from crunchbed.history.history import History
from reserve_agent.contract.events.membership import ViewInstalled


class Absences:
    """When no heartbeat of a peer could be expected: it was down, or not yet a member again."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._downs: dict[str, list[int]] = {}
        self._added: dict[tuple[str | None, str], list[int]] = {}

    def covers(self, observer: str, peer: str, t: int) -> bool:
        """Return whether ``peer`` was absent for ``observer`` at ``t``."""
        if peer not in self._downs:
            self._downs[peer] = [down.start for down in downtimes(self._history, peer)]
        since = max((down for down in self._downs[peer] if down <= t), default=None)
        if since is None:
            return False
        back = self._first_added(observer, peer, since) or self._first_added(None, peer, since)
        return back is None or t < back

    def _first_added(self, observer: str | None, peer: str, since: int) -> int | None:
        key = (observer, peer)
        if key not in self._added:
            views = self._history.of(ViewInstalled, observer)
            self._added[key] = [view.t for view in views if peer in view.added]
        times = self._added[key]
        index = bisect_left(times, since)
        return times[index] if index < len(times) else None
