"""The watched peers of a probing detector, of which most are alive most of the time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nodes.membership.detector import State
from nodes.membership.order import Order


@dataclass(slots=True)
class Known:
    """One watched peer.

    Attributes:
        watched_ns: Since when it is watched.
        refuted: How often it has refuted a suspicion, as far as known.
        failed: This node's own probes of it that failed in a row.
    """

    watched_ns: int
    state: State = State.ALIVE
    refuted: int = 0
    heard: bool = False
    failed: int = 0


_NOBODY: Final = Order()


class Peers:
    """The watched peers, in the order in which watching began.

    Every peer has a place, a whole number that grows in this order. The places of the peers that
    are not watched any more stay empty. What is asked in every period looks only at those that
    deviate: whose places are empty, or who are not alive.

    Args:
        settled: Peers that are watched from the beginning, with ``me``, and heard at ``now_ns``.
            What is known of them all alike is kept once.
        me: The node itself, which is no peer.
        now_ns: The present time.
    """

    def __init__(self, settled: Order = _NOBODY, me: str = "", now_ns: int = 0) -> None:
        self._settled = settled
        self._rest = Known(now_ns, heard=True)
        self._gone = {me}  # of the settled ones
        self._late: list[str] = []
        self._late_place: dict[str, int] = {}
        self._known: dict[str, Known] = {}
        self._empty = [settled.place[me]] if settled else []
        self._unfit = list(self._empty)
        self._dead: set[str] = set()

    @property
    def places(self) -> int:
        """How many places there are, with the empty ones."""
        return len(self._settled) + len(self._late)

    def __len__(self) -> int:
        return self.places - len(self._empty)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __getitem__(self, name: str) -> Known:
        known = self.get(name)
        if known is None:
            raise KeyError(name)
        return known

    def get(self, name: str) -> Known | None:
        """Return what is known of a peer, to be read; None if it is not watched."""
        known = self._known.get(name)
        if known is None and name in self._settled.place and name not in self._gone:
            return self._rest
        return known

    def own(self, name: str) -> Known:
        """Return what is known of a watched peer, to be changed, but for its state."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = replace(self[name])
        return known

    def place_of(self, name: str) -> int:
        """Return the place of a watched peer."""
        place = self._late_place.get(name)
        return self._settled.place[name] if place is None else place

    def watch(self, name: str, now_ns: int) -> None:
        """Begin to watch a peer, as the last one."""
        self.forget(name)
        self._late_place[name] = self.places
        self._late.append(name)
        self._known[name] = Known(now_ns)

    def forget(self, name: str) -> None:
        """Stop watching a peer."""
        known = self.get(name)
        if known is None:
            return
        place = self.place_of(name)
        insort(self._empty, place)
        if known.state is State.ALIVE:
            insort(self._unfit, place)
        self._dead.discard(name)
        self._known.pop(name, None)
        if self._late_place.pop(name, None) is None:
            self._gone.add(name)

    def change(self, name: str, state: State) -> Known:
        """Note the state of a watched peer, and return what else is known of it."""
        known = self.own(name)
        was_fit, is_fit = known.state is State.ALIVE, state is State.ALIVE
        known.state = state
        if was_fit and not is_fit:
            insort(self._unfit, self.place_of(name))
        elif is_fit and not was_fit:
            del self._unfit[bisect_left(self._unfit, self.place_of(name))]
        if state is State.DEAD:
            self._dead.add(name)
        else:
            self._dead.discard(name)
        return known

    # --- whom to probe, to ask and to tell

    @property
    def all_fit(self) -> bool:
        """Whether every peer is alive without a suspicion."""
        return len(self._unfit) == len(self._empty)

    @property
    def any_not_dead(self) -> bool:
        """Whether there is a peer to be probed."""
        return len(self) > len(self._dead)

    def is_dead(self, name: str) -> bool:
        """Return whether ``name`` is watched and dead."""
        return name in self._dead

    def is_suspected(self, name: str) -> bool:
        """Return whether ``name`` is watched and suspected."""
        known = self._known.get(name)  # not one of the rest
        return known is not None and known.state is State.SUSPECT

    def is_not_dead(self, name: str) -> bool:
        """Return whether ``name`` is watched and not dead."""
        return self.get(name) is not None and name not in self._dead

    def not_dead_at(self, place: int) -> str | None:
        """Return the peer at a place; None if that is empty or the peer is dead."""
        name = self._at(place)
        return name if self.is_not_dead(name) and self.place_of(name) == place else None

    def _at(self, place: int) -> str:
        """Return who was given a place; the place may be empty since."""
        settled = len(self._settled)
        return self._settled[place] if place < settled else self._late[place - settled]

    def not_dead(self) -> Iterator[str]:
        """Yield the peers that are not dead, in order; this looks at every peer."""
        found = (self.not_dead_at(place) for place in range(self.places))
        return (name for name in found if name is not None)

    def dead(self) -> list[str]:
        """Return the dead, in order."""
        return sorted(self._dead, key=self.place_of)

    def all(self) -> Sequence[str]:
        """Return every peer."""
        return _Filled(self._at, self.places, self._empty)

    def fit_but(self, name: str) -> Sequence[str]:
        """Return the peers that are alive without a suspicion, other than ``name``."""
        fit = self[name].state is State.ALIVE
        more = self.place_of(name) if fit else None
        return _Filled(self._at, self.places, self._unfit, more)


class _Filled(Sequence[str]):
    """Those at all places but ``without``, which is sorted, and ``more``.

    To draw a few of very many takes no look at each.
    """

    def __init__(
        self, at: Callable[[int], str], places: int, without: list[int], more: int | None = None
    ) -> None:
        self._at = at
        self._size = places - len(without) - (more is not None)
        self._without = without
        self._more = None if more is None else more - bisect_left(without, more)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        if not 0 <= index < self._size:
            raise IndexError(index)
        if self._more is not None and index >= self._more:
            index += 1
        empty, places = self._without, range(len(self._without))
        return self._at(index + bisect_right(places, index, key=lambda at: empty[at] - at))
