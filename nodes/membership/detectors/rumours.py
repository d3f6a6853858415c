"""What a probing detector passes on in its messages, and whom it suspects for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from nodes.membership.detector import Update


@dataclass(slots=True, eq=False)
class _Told:
    update: Update
    place: int
    times: int = 0


class Rumours:
    """The latest rumour about each node, told as a part of other messages (SWIM, section 4.1).

    Those that were told least often are told first; of these, those about the node that has had a
    rumour for longest.
    """

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}
        self._next: list[tuple[int, int, int, _Told]] = []  # also such as count no more
        self._added = 0

    def __len__(self) -> int:
        return len(self._told)

    def add(self, update: Update) -> None:
        """Tell this rumour from now on in place of any other about the same node."""
        before = self._told.get(update.peer)
        self._put(_Told(update, self._added if before is None else before.place))

    def forget(self, peer: str) -> None:
        """Tell nothing more about ``peer``."""
        self._told.pop(peer, None)

    def pick(self, most: int, bound: int) -> tuple[Update, ...]:
        """Return up to ``most`` rumours to tell now; each is told ``bound`` times in all."""
        chosen: list[_Told] = []
        while self._told and self._next and len(chosen) < most:
            told = heappop(self._next)[-1]
            if self._told.get(told.update.peer) is told:
                chosen.append(told)
        for told in chosen:
            if told.times + 1 >= bound:
                del self._told[told.update.peer]
            else:
                self._put(_Told(told.update, told.place, told.times + 1))
        return tuple(told.update for told in chosen)

    def _put(self, told: _Told) -> None:
        self._told[told.update.peer] = told
        self._added += 1
        heappush(self._next, (told.times, told.place, self._added, told))


@dataclass(slots=True, eq=False)
class Suspicion:
    """A peer under suspicion since a time, by some nodes.

    Attributes:
        expires_ns: When the peer is taken for dead.
    """

    peer: str
    since_ns: int
    by: set[str]
    place: int
    expires_ns: int = -1


class Suspicions:
    """The peers under suspicion, and which suspicion expires next.

    Args:
        patience: How long a suspicion lasts that so many other nodes have confirmed, nanoseconds.
    """

    def __init__(self, patience: Callable[[int], int]) -> None:
        self._patience = patience
        self._of: dict[str, Suspicion] = {}
        self._next: list[tuple[int, int, int, Suspicion]] = []  # also such as count no more
        self._added = 0
        self._outdated = False

    def __getitem__(self, peer: str) -> Suspicion:
        return self._of[peer]

    def begin(self, peer: str, at_ns: int, by: str) -> None:
        """Suspect ``peer``, since ``by`` does; a suspicion of it that there was is forgotten."""
        before = self._of.get(peer)
        place = self._added if before is None else before.place
        self._of[peer] = suspicion = Suspicion(peer, at_ns, {by}, place)
        self._put(suspicion)

    def confirm(self, peer: str, by: str) -> None:
        """Note that one more node suspects ``peer``."""
        self._of[peer].by.add(by)
        self._put(self._of[peer])

    def end(self, peer: str) -> None:
        """Suspect ``peer`` no more."""
        self._of.pop(peer, None)

    def resized(self) -> None:
        """Note that the number of nodes has changed, and with it the patience."""
        self._outdated = bool(self._of)

    def next_ns(self) -> int | None:
        """Return when the next suspicion expires; None if there is none."""
        if not self._of:
            self._next.clear()
            return None
        self._refresh()
        while self._next and not self._counts(self._next[0]):
            heappop(self._next)
        return self._next[0][0] if self._next else None

    def expired(self, now_ns: int) -> list[Suspicion]:
        """Return the suspicions that have expired before ``now_ns``, and end them."""
        found: list[Suspicion] = []
        while (next_ns := self.next_ns()) is not None and next_ns < now_ns:
            suspicion = heappop(self._next)[-1]
            del self._of[suspicion.peer]
            found.append(suspicion)
        return found

    def _counts(self, entry: tuple[int, int, int, Suspicion]) -> bool:
        suspicion = entry[-1]
        return self._of.get(suspicion.peer) is suspicion and suspicion.expires_ns == entry[0]

    def _refresh(self) -> None:
        if self._outdated:
            self._outdated = False
            for suspicion in self._of.values():
                self._put(suspicion)

    def _put(self, suspicion: Suspicion) -> None:
        # The first node to suspect a peer confirms nothing.
        expires_ns = suspicion.since_ns + self._patience(len(suspicion.by) - 1)
        if expires_ns != suspicion.expires_ns:
            suspicion.expires_ns = expires_ns
            self._added += 1
            heappush(self._next, (expires_ns, suspicion.place, self._added, suspicion))
