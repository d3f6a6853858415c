"""The watched peers of a probing detector, of which most are alive most of the time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nodes.membership.detector import State


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


class Peers:
    """The watched peers, in the order in which watching began.

    Every peer has a place, a whole number that grows in this order. The places of the peers that
    are not watched any more stay empty. What is asked in every period looks only at those that
    deviate: whose places are empty, or who are not alive.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._known: dict[str, Known] = {}
        self._place: dict[str, int] = {}
        self._empty: list[int] = []
        self._unfit: list[int] = []
        self._dead: set[str] = set()

    def __len__(self) -> int:
        return len(self._names) - len(self._empty)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __getitem__(self, name: str) -> Known:
        return self._known[name]

    def get(self, name: str) -> Known | None:
        """Return what is known of a peer; None if it is not watched."""
        return self._known.get(name)

    def watch(self, name: str, now_ns: int) -> None:
        """Begin to watch a peer, as the last one."""
        self.forget(name)
        self._place[name] = len(self._names)
        self._names.append(name)
        self._known[name] = Known(now_ns)

    def forget(self, name: str) -> None:
        """Stop watching a peer."""
        known = self._known.pop(name, None)
        if known is None:
            return
        place = self._place.pop(name)
        insort(self._empty, place)
        if known.state is State.ALIVE:
            insort(self._unfit, place)
        self._dead.discard(name)

    def change(self, name: str, state: State) -> Known:
        """Note the state of a watched peer, and return what else is known of it."""
        known = self._known[name]
        was_fit, is_fit = known.state is State.ALIVE, state is State.ALIVE
        known.state = state
        if was_fit and not is_fit:
            insort(self._unfit, self._place[name])
        elif is_fit and not was_fit:
            del self._unfit[bisect_left(self._unfit, self._place[name])]
        if state is State.DEAD:
            self._dead.add(name)
        else:
            self._dead.discard(name)
        return known

    # --- whom to probe, to ask and to tell

    @property
    def any_not_dead(self) -> bool:
        """Whether there is a peer to be probed."""
        return len(self) > len(self._dead)

    def is_dead(self, name: str) -> bool:
        """Return whether ``name`` is watched and dead."""
        return name in self._dead

    def is_suspected(self, name: str) -> bool:
        """Return whether ``name`` is watched and suspected."""
        known = self._known.get(name)
        return known is not None and known.state is State.SUSPECT

    def is_not_dead(self, name: str) -> bool:
        """Return whether ``name`` is watched and not dead."""
        return name in self._known and name not in self._dead

    def not_dead(self) -> Iterator[str]:
        """Yield the peers that are not dead, in order; this looks at every peer."""
        return (name for name in self._known if name not in self._dead)

    def dead(self) -> list[str]:
        """Return the dead, in order."""
        return sorted(self._dead, key=self._place.__getitem__)

    def all(self) -> Sequence[str]:
        """Return every peer."""
        return _Filled(self._names, self._empty)

    def fit_but(self, name: str) -> Sequence[str]:
        """Return the peers that are alive without a suspicion, other than ``name``."""
        fit = self._known[name].state is State.ALIVE
        return _Filled(self._names, self._unfit, self._place[name] if fit else None)


class _Filled(Sequence[str]):
    """A list of names without those at the places ``without``, sorted, and at one ``more`` place.

    To draw a few of very many takes no look at each.
    """

    def __init__(self, names: Sequence[str], without: list[int], more: int | None = None) -> None:
        self._names = names
        self._without = without
        self._more = more
        if more is not None:
            self._skipped = more - bisect_left(without, more)

    def __len__(self) -> int:
        return len(self._names) - len(self._without) - (self._more is not None)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        if self._more is not None and index >= self._skipped:
            index += 1
        empty, places = self._without, range(len(self._without))
        return self._names[index + bisect_right(places, index, key=lambda at: empty[at] - at)]
