"""Names and indexes of the configured nodes, and what they say in the form of datagrams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from nodes.membership.datagram import MAX_NODES, Heartbeat, Kind, MalformedHeartbeat, Rumour
from nodes.membership.detector import Message, State, Update
from nodes.membership.order import Order
from nodes.membership.views import NO_VIEW, Gossip, Member, View

_CACHED = 256  # distinct views or suspect sets between changes: a handful


class Roster:
    """All nodes that may ever be members; translates between their names and indexes, 0..63."""

    def __init__(self, indexes: Mapping[str, int]) -> None:
        self._name_of = {index: name for name, index in indexes.items()}
        if len(self._name_of) != len(indexes) or not all(0 <= i < MAX_NODES for i in self._name_of):
            raise ValueError(f"indexes must differ and be under {MAX_NODES}: {dict(indexes)}")
        self._index_of = dict(indexes)
        self._order = Order(name for _, name in sorted(self._name_of.items()))
        # Cached, so that equal views are one object and heartbeats are compared quickly.
        self._names = lru_cache(_CACHED)(self._read_names)
        self._view = lru_cache(_CACHED)(self._read_view)

    @property
    def order(self) -> Order:
        """All names, by index."""
        return self._order

    def name_of(self, index: int) -> str:
        """Return the name of the node with this index, or raise MalformedHeartbeat."""
        try:
            return self._name_of[index]
        except KeyError:
            raise MalformedHeartbeat(f"no node has index {index}") from None

    def gossip(self, heartbeat: Heartbeat) -> Gossip:
        """Return what ``heartbeat`` says of the membership.

        Raises:
            MalformedHeartbeat: It speaks of nodes that are not configured.
        """
        follows = heartbeat.follows
        return Gossip(
            heartbeat.incarnation,
            self._view(heartbeat.view, heartbeat.members, heartbeat.incarnations, heartbeat.author),
            self._names(heartbeat.suspects),
            None if follows is None else self.name_of(follows),
            heartbeat.joining,
        )

    def message(self, heartbeat: Heartbeat, boots: Mapping[str, int]) -> Message:
        """Return what ``heartbeat`` says to the detector; raises the same error as ``gossip``.

        Of its rumours only those are kept that are about the present incarnations of the members,
        which ``boots`` has by name.
        """
        updates = []
        for member, state, by, incarnation, refuted in heartbeat.rumours:
            name = self.name_of(member)
            said_by = None if by is None else self.name_of(by)
            if boots.get(name) == incarnation:
                updates.append(Update(name, State(state), refuted, said_by))
        about = None if heartbeat.about is None else self.name_of(heartbeat.about)
        kind, seq, refuted = heartbeat.kind, heartbeat.seq, heartbeat.refuted
        return Message(kind, seq, about, refuted, tuple(updates))

    def datagram(
        self, sender: str, sent_ns: int, gossip: Gossip, message: Message, boots: Mapping[str, int]
    ) -> Heartbeat:
        """Return the datagram by which ``sender`` says ``gossip`` and ``message``.

        ``boots`` has the members' incarnations by name.
        """
        heartbeat = self.heartbeat(sender, message.seq, sent_ns, gossip)
        if message.kind is Kind.HEARTBEAT:
            return heartbeat
        return heartbeat._replace(
            kind=message.kind,
            about=None if message.about is None else self._index_of[message.about],
            refuted=message.refuted,
            rumours=tuple(
                self._rumour(one, boots[one.peer]) for one in message.updates if one.peer in boots
            ),
        )

    def _rumour(self, update: Update, incarnation: int) -> Rumour:
        by = None if update.by is None else self._index_of[update.by]
        member = self._index_of[update.peer]
        return Rumour(member, update.state, by, incarnation, update.refuted)

    def heartbeat(self, sender: str, seq: int, sent_ns: int, gossip: Gossip) -> Heartbeat:
        """Return the heartbeat by which ``sender`` says ``gossip``."""
        return Heartbeat(
            self._index_of[sender],
            gossip.incarnation,
            seq,
            gossip.view.number,
            self._bitmap(gossip.view.names),
            self._bitmap(gossip.suspects),
            sent_ns,
            gossip.joining,
            None if gossip.follows is None else self._index_of[gossip.follows],
            None if gossip.view.author is None else self._index_of[gossip.view.author],
            tuple(member.incarnation for member in gossip.view.members),
        )

    def _bitmap(self, names: Iterable[str]) -> int:
        return sum(1 << self._index_of[name] for name in names)

    def _indexes(self, bitmap: int) -> list[int]:
        return [index for index in range(MAX_NODES) if bitmap >> index & 1]

    def _read_names(self, bitmap: int) -> frozenset[str]:
        return frozenset(self.name_of(index) for index in self._indexes(bitmap))

    def _read_view(
        self, number: int, bitmap: int, incarnations: tuple[int, ...], author: int | None
    ) -> View:
        if (number == 0) != (bitmap == 0):
            raise MalformedHeartbeat(f"view {number} with members {bitmap:#x}")
        names = (self.name_of(index) for index in self._indexes(bitmap))
        members = tuple(Member(name, inc) for name, inc in zip(names, incarnations, strict=True))
        if not members:
            return NO_VIEW
        return View(number, members, None if author is None else self.name_of(author))
