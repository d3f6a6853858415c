"""Which node of the pair serves: views and fence confirmations in, orders to the daemon out. Pure.

The rules:

- At the start of a cluster both nodes wait for a view with both in it; then the first serves.
- The node that serves goes on until it leaves the membership. A node that boots again joins as the
  standby: the other node serves, or is about to, since before this one came.
- When the other node leaves a view, this node takes over once the fence service has confirmed that
  the other is cut off. If the other node comes back meanwhile, that changes nothing: until it is
  fenced it may still write.
- A node outside of the view stops serving, and so does a node without quorum unless it is told to
  go on (Pacemaker's ``freeze``). Either way nothing is taken over without quorum. The node that
  served before goes on when the quorum is back: both nodes know from the views which that was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """Serve; ``taken_from`` is the node that served before, if another did."""

    taken_from: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Serve no longer."""

    reason: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask the fence service whether ``target`` is cut off, and have it cut off if it is not."""

    target: str
    view: int


Order = Start | Stop | Confirm


class ServiceManager:
    """One node's half of the pair, of which the first node serves first.

    Args:
        me: This node.
        pair: Both nodes.
        joining: Whether this node boots again, into a cluster that goes on.
        confirm: False takes every fence for granted, so that two nodes may serve at once; it shows
            what the confirmation is for.
        stops_without_quorum: False has a node that serves go on without quorum.
        retry_ns: When an unanswered or refused question to the fence service is asked again.
    """

    def __init__(
        self,
        me: str,
        pair: Sequence[str],
        *,
        joining: bool,
        confirm: bool,
        retry_ns: int,
        stops_without_quorum: bool = True,
    ) -> None:
        self.me = me
        self.other = next(name for name in pair if name != me)
        self.serving = False
        self._first = pair[0]
        self._joining = joining
        self._confirm = confirm
        self._retry_ns = retry_ns
        self._stops_without_quorum = stops_without_quorum
        self._mine: bool | None = None  # whether this node is to serve; None: no view has told yet
        self._taking = False
        self._member = False
        self._joined_view = 0
        self._others_view = 0
        self._asked: Confirm | None = None
        self._asked_ns = 0

    def view(
        self,
        number: int,
        members: Collection[str],
        removed: Collection[str],
        quorate: bool,
        now_ns: int,
    ) -> list[Order]:
        """This node holds a new view; ``removed`` are the members that left with it."""
        if not quorate or self.me not in members:
            self._member = False
            self._asked = None
            if quorate:
                return self._stop("ejected")
            return self._stop("no quorum") if self._stops_without_quorum else []
        if not self._joined_view:
            self._joined_view = number
        self._member = True
        gone = self.other in removed or self.other not in members
        if self.other in members and not self._others_view:
            self._others_view = number
        self._settle(gone)
        return self._act(now_ns)

    def _settle(self, gone: bool) -> None:
        """Decide which node is to serve now."""
        if self._mine is None:
            if not gone:
                self._mine = not self._joining and self._first == self.me
            elif self._joining:
                self._mine, self._taking = True, True
        elif gone and not self._mine:
            self._mine, self._taking = True, True

    def fenced(self, target: str, view: int, ok: bool) -> list[Order]:
        """The fence service has answered the question about ``target`` that named ``view``."""
        if self._asked is None or not ok or Confirm(target, view) != self._asked:
            return []
        self._taking = False
        self._asked = None
        return self._serve(self.other) if self._member and not self.serving else []

    def tick(self, now_ns: int) -> list[Order]:
        """Ask again what was not answered; to be called a few times a second."""
        return self._act(now_ns) if self._member else []

    def _act(self, now_ns: int) -> list[Order]:
        if not self._mine or self.serving:
            return []
        if not self._taking:
            return self._serve(None)
        if not self._confirm:
            self._taking = False
            return self._serve(self.other)
        if self._asked is not None and now_ns - self._asked_ns < self._retry_ns:
            return []
        # Both nodes were members from the later of these views on: no earlier fence is meant.
        self._asked = Confirm(self.other, max(self._joined_view, self._others_view))
        self._asked_ns = now_ns
        return [self._asked]

    def _serve(self, taken_from: str | None) -> list[Order]:
        self.serving = True
        return [Start(taken_from)]

    def _stop(self, reason: str) -> list[Order]:
        if not self.serving:
            return []
        self.serving = False
        return [Stop(reason)]
