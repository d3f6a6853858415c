"""Names and indexes of the configured nodes, and what they say in the form of datagrams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from nodes.membership.datagram import MAX_NODES, Heartbeat, Kind, MalformedHeartbeat, Rumour
from nodes.membership.detector import Message, State, Update
from nodes.membership.order import Order
from nodes.membership.said import Said, said_of
from nodes.membership.views import NO_VIEW, Gossip, Member, View

_CACHED = 256  # distinct views or suspect sets between changes: a handful


class Roster:
    """All nodes that may ever be members; translates between their names and their indexes.

    Nodes of one process may share a roster. ``must_fit`` says whether datagrams have room for it.
    """

    def __init__(self, indexes: Mapping[str, int]) -> None:
        self._name_of = {index: name for name, index in indexes.items()}
        if len(self._name_of) != len(indexes) or min(self._name_of, default=0) < 0:
            raise ValueError(f"indexes must differ and be 0 or more: {dict(indexes)}")
        self._index_of = dict(indexes)
        self._order = Order(name for _, name in sorted(self._name_of.items()))
        # Cached, so that equal views are one object and heartbeats are compared quickly.
        self._names = lru_cache(_CACHED)(self._read_names)
        self._view = lru_cache(_CACHED)(self._read_view)
        self._written: tuple[Gossip, Heartbeat] | None = None

    def must_fit(self) -> None:
        """Raise ValueError where an index is too high for a datagram."""
        if max(self._name_of, default=0) >= MAX_NODES:
            raise ValueError(f"datagrams have room for indexes under {MAX_NODES}")

    @property
    def order(self) -> Order:
        """All names, by index."""
        return self._order

    def index_of(self, name: str) -> int:
        """Return the index of a configured node."""
        return self._index_of[name]

    def name_of(self, index: int) -> str:
        """Return the name of the node with this index, or raise MalformedHeartbeat."""
        try:
            return self._name_of[index]
        except KeyError:
            raise MalformedHeartbeat(f"no node has index {index}") from None

    def _maybe(self, index: int | None) -> str | None:
        return None if index is None else self.name_of(index)

    def gossip(self, heartbeat: Heartbeat) -> Gossip:
        """Return what ``heartbeat`` says of the membership.

        Raises:
            MalformedHeartbeat: It speaks of nodes that are not configured.
        """
        return Gossip(
            heartbeat.incarnation,
            self._view(heartbeat.view, heartbeat.members, heartbeat.incarnations, heartbeat.author),
            self._names(heartbeat.suspects),
            self._maybe(heartbeat.follows),
            heartbeat.joining,
        )

    def said(self, heartbeat: Heartbeat) -> Said:
        """Return what ``heartbeat`` says; raises the same error as ``gossip``."""
        gossip = self.gossip(heartbeat)
        updates = tuple(
            Update(self.name_of(one.member), State(one.state), one.refuted, self._maybe(one.by))
            for one in heartbeat.rumours
        )
        about = self._maybe(heartbeat.about)
        message = Message(heartbeat.kind, heartbeat.seq, about, heartbeat.refuted, updates)
        boots = tuple(rumour.incarnation for rumour in heartbeat.rumours)
        return Said(self.name_of(heartbeat.sender), gossip, message, boots)

    def message(self, heartbeat: Heartbeat, boots: Mapping[str, int]) -> Message:
        """Return what ``heartbeat`` says to the detector; raises the same error as ``gossip``.

        Of its rumours only those are kept that are about the present incarnations of the members,
        which ``boots`` has by name.
        """
        return self.said(heartbeat).heard_by(boots)

    def datagram(
        self, sender: str, sent_ns: int, gossip: Gossip, message: Message, boots: Mapping[str, int]
    ) -> Heartbeat:
        """Return the datagram by which ``sender`` says ``gossip`` and ``message``.

        ``boots`` has the members' incarnations by name.
        """
        return self.written(said_of(sender, gossip, message, boots), sent_ns)

    def written(self, said: Said, sent_ns: int) -> Heartbeat:
        """Return the datagram that says ``said``."""
        sender, gossip, message, boots = said.sender, said.gossip, said.message, said.boots
        heartbeat = self.heartbeat(sender, message.seq, sent_ns, gossip)
        if message.kind is Kind.HEARTBEAT:
            return heartbeat
        return heartbeat._replace(
            kind=message.kind,
            about=None if message.about is None else self._index_of[message.about],
            refuted=message.refuted,
            rumours=tuple(map(self._rumour, message.updates, boots)),
        )

    def _rumour(self, update: Update, incarnation: int) -> Rumour:
        by = None if update.by is None else self._index_of[update.by]
        member = self._index_of[update.peer]
        return Rumour(member, update.state, by, incarnation, update.refuted)

    def heartbeat(self, sender: str, seq: int, sent_ns: int, gossip: Gossip) -> Heartbeat:
        """Return the heartbeat by which ``sender`` says ``gossip``."""
        if self._written is None or self._written[0] is not gossip:
            self._written = gossip, self._translated(gossip)
        index = self._index_of[sender]
        return self._written[1]._replace(sender=index, seq=seq, sent_ns=sent_ns)

    def _translated(self, gossip: Gossip) -> Heartbeat:
        """Return a heartbeat of nobody that says ``gossip``."""
        return Heartbeat(
            0,
            gossip.incarnation,
            0,
            gossip.view.number,
            self._bitmap(gossip.view.names),
            self._bitmap(gossip.suspects),
            0,
            gossip.joining,
            None if gossip.follows is None else self._index_of[gossip.follows],
            None if gossip.view.author is None else self._index_of[gossip.view.author],
            tuple(member.incarnation for member in gossip.view.members),
        )

    def _bitmap(self, names: Iterable[str]) -> int:
        return sum(1 << self._index_of[name] for name in names)

    def _indexes(self, bitmap: int) -> list[int]:
        return [index for index in range(bitmap.bit_length()) if bitmap >> index & 1]

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
        return View(number, members, self._maybe(author))
