"""From what corosync reports to views, suspicions and fence requests. Pure, the time passed in.

- A view's number is the sequence number of corosync's ring, which only rises.
- ``removed`` and ``added`` of a quorate view are changes since the last quorate view of this node.
  A view without quorum decides nothing, and has no changes.
- A node that left is fenced as soon as this node has quorum and is the lowest member, as
  Pacemaker's elected controller would do it. The request names the ring in which the node left: if
  the asker leaves too, the next member asks for the same ring, and that does not hit a later boot.
- No request is made for a node that is a member again, nor between a ring and its quorum: the last
  ring's quorum says nothing of the next one, which corosync may take seconds to agree on.
- With ``two_node`` one node of two has quorum by itself, so both may have it at once. What is left
  of a cluster then decides nothing until the fence of the other node is confirmed.
- With ``ignore_quorum`` (Pacemaker's ``no-quorum-policy=ignore``) every ring counts as quorate once
  this node has been in one that was. Several may then count so at once, as with ``two_node``: each
  has the nodes fenced that left it, and decides nothing before that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suspected:
    """``peer`` left the ring of this node."""

    peer: str


@dataclass(frozen=True, slots=True)
class ViewSeen:
    """This node's ring from now on; names in the order of ids."""

    number: int
    members: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]
    quorate: bool


@dataclass(frozen=True, slots=True)
class FenceWanted:
    """Fence ``target``, which left in ring number ``number``."""

    target: str
    number: int


Effect = Suspected | ViewSeen | FenceWanted


@dataclass(slots=True)
class _Gone:
    number: int
    asked_ns: int | None = None
    fenced: bool = False


class ClusterWatch:
    """What one node knows of the cluster.

    Args:
        me: This node's name.
        ids: Corosync's id of every node by name.
        fence_timeout_ns: When an unanswered request is made again.
        two_node: Whether one node of two has quorum.
        ignore_quorum: Whether to act without quorum as with it.
    """

    def __init__(
        self,
        me: str,
        ids: Mapping[str, int],
        fence_timeout_ns: int,
        *,
        two_node: bool = False,
        ignore_quorum: bool = False,
    ) -> None:
        self._me = me
        self._ignore_quorum = ignore_quorum
        self._fences_first = two_node or ignore_quorum
        self._heard: tuple[int, tuple[int, ...], bool] | None = None
        self._names = {number: name for name, number in ids.items()}
        self._fence_timeout_ns = fence_timeout_ns
        self._last: ViewSeen | None = None
        self._quorate_members: tuple[str, ...] = ()
        self._left: set[str] = set()
        self._gone: dict[str, _Gone] = {}

    def ring(self, number: int, left: Iterable[int]) -> list[Effect]:
        """Take in a new ring, whose quorum follows in ``quorum``; ``left`` are ids of the last."""
        self._heard = None  # the last ring's quorum says nothing of this one
        names = self._in_order(left)
        self._left = set(names)
        for name in names:
            self._gone[name] = _Gone(number)
        return [Suspected(name) for name in names]

    def quorum(
        self, number: int, members: Iterable[int], quorate: bool, now_ns: int
    ) -> list[Effect]:
        """Take in the ring's members, and whether they have more than half of all votes."""
        ids = tuple(members)
        quorate = quorate or (self._ignore_quorum and bool(self._quorate_members))
        self._heard = (number, ids, quorate)
        names = self._in_order(ids)
        decides = quorate and not self._waits_for_fences(names)
        last = self._last
        if last is not None and (last.number, last.members, last.quorate) == (
            number,
            names,
            decides,
        ):
            return []
        removed, added = self._changes(names) if decides else ((), ())
        self._last = ViewSeen(number, names, removed, added, decides)
        if quorate:
            for name in names:
                self._gone.pop(name, None)
        if decides:
            self._quorate_members = names
        return [self._last, *self._requests(now_ns)]

    def _waits_for_fences(self, names: tuple[str, ...]) -> bool:
        """Return whether these members may have quorum at the same time as those that left."""
        gone = (one for name, one in self._gone.items() if name not in names)
        return self._fences_first and not all(one.fenced for one in gone)

    def fence_answer(self, target: str, number: int, ok: bool) -> None:
        """Take in an answer of the fence service; a refusal is asked again after the time-out."""
        gone = self._gone.get(target)
        if gone is not None and gone.number == number and ok:
            gone.fenced = True

    def tick(self, now_ns: int) -> list[Effect]:
        """Return a view that decides from now on, and requests for nodes to be fenced."""
        if self._heard is not None and (changed := self.quorum(*self._heard, now_ns)):
            return changed
        return self._requests(now_ns)

    def _requests(self, now_ns: int) -> list[Effect]:
        """Return requests for the nodes that are to be fenced, unless asked for lately."""
        has_quorum = self._heard is not None and self._heard[2]
        if self._last is None or not has_quorum or self._last.members[0] != self._me:
            return []
        wanted: list[Effect] = []
        for target, gone in self._gone.items():
            waiting = gone.asked_ns is not None and now_ns - gone.asked_ns < self._fence_timeout_ns
            if not gone.fenced and not waiting:
                gone.asked_ns = now_ns
                wanted.append(FenceWanted(target, gone.number))
        return wanted

    def _changes(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return removed and added names; a node whose next boot is back at once is in both."""
        before, now = set(self._quorate_members), set(names)
        replaced = self._left & before & now
        order = self._names.values()
        return (
            tuple(name for name in order if name in (before - now) | replaced),
            tuple(name for name in order if name in (now - before) | replaced),
        )

    def _in_order(self, ids: Iterable[int]) -> tuple[str, ...]:
        present = set(ids)
        return tuple(name for number, name in self._names.items() if number in present)
