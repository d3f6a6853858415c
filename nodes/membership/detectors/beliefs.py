"""What a probing detector believes of its peers: states, suspicions, and rumours about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nodes.membership.datagram import MAX_RUMOURS
from nodes.membership.detector import Clear, Finding, State, Suspect, Update
from nodes.membership.detectors.peers import Known, Peers
from nodes.membership.detectors.rumours import Rumours, Suspicions
from nodes.membership.detectors.settings import SwimSettings
from nodes.membership.order import Order

_MOST_DEAD: Final = MAX_RUMOURS // 2
"""The dead that one message to all speaks of."""


class Beliefs:
    """SWIM's rules of which rumour overrides which belief (section 4.2).

    Every rumour has a number, SWIM's incarnation. Alive overrides a belief with a lower number;
    suspect also overrides alive with the same number; dead overrides both. Only a node itself
    raises its number: that is how it refutes. Here the number counts refutations, since datagrams
    name the boot of a node as well.
    """

    def __init__(self, me: str, settings: SwimSettings) -> None:
        self._me = me
        self._settings = settings
        self._peers = Peers()
        self._suspected = Suspicions(self._patience)
        self._rumours = Rumours()
        self._refuted = 0
        self._next_dead = 0  # whose turn it is to be told of

    def watch(self, peer: str, now_ns: int) -> None:
        """See ``Detector.watch``."""
        self.forget(peer)
        self._peers.watch(peer, now_ns)
        self._suspected.resized()

    def settle(self, me: str, order: Order, now_ns: int) -> None:
        """See ``Detector.settle``."""
        self._peers = Peers(order, me, now_ns)

    def forget(self, peer: str) -> None:
        """See ``Detector.forget``."""
        self._peers.forget(peer)
        self._suspected.end(peer)
        self._suspected.resized()
        self._rumours.forget(peer)

    def _expired(self, now_ns: int) -> list[Finding]:
        """Take the peers whose suspicions have expired for dead."""
        findings: list[Finding] = []
        for suspicion in self._suspected.expired(now_ns):
            name, refuted = suspicion.peer, self._peers[suspicion.peer].refuted
            dead = Update(name, State.DEAD, refuted, self._me)
            findings += self._apply(dead, suspicion.expires_ns)
        return findings

    def _updates_for(self, to: str | None) -> tuple[Update, ...]:
        told = self._to_be_told(to)
        picked: dict[str, Update] = {}
        if len(self._rumours):
            bound = self._settings.transmissions(self._size)
            found = self._rumours.pick(MAX_RUMOURS - len(told), bound)
            picked = {one.peer: one for one in found}
        for name in told:
            picked.setdefault(name, self._update_of(name))
        return tuple(picked.values())

    def _to_be_told(self, to: str | None) -> Sequence[str]:
        """Return the peers that a message to ``to`` (None: to all) must speak of: the dead.

        Dead peers are not probed any more; one that lives must hear of its death to refute it. So
        many dead that rumours have no room any more are told of in turn.
        """
        if to is not None:
            return [to] if self._peers.is_dead(to) else []
        dead = self._peers.dead()
        if len(dead) <= _MOST_DEAD:
            return dead
        first = self._next_dead % len(dead)
        self._next_dead = first + _MOST_DEAD
        return [*dead[first:], *dead[:first]][:_MOST_DEAD]

    def _update_of(self, name: str) -> Update:
        known = self._peers[name]
        return Update(name, known.state, known.refuted, self._me)

    @property
    def _size(self) -> int:
        return len(self._peers) + 1

    def _apply(self, update: Update, at_ns: int) -> list[Finding]:
        """Believe ``update`` if it overrides what is known, and pass it on."""
        if update.peer == self._me:
            if update.state is not State.ALIVE and update.refuted >= self._refuted:
                self._refute(update.refuted)
                if update.state is State.DEAD:
                    self._protest()
            return []
        known = self._peers.get(update.peer)
        if known is None:
            return []
        match update.state:
            case State.ALIVE:
                newer = update.refuted > known.refuted
                return self._revive(update, at_ns) if newer else []
            case State.SUSPECT:
                self._suspect(update, known, at_ns)
                return []
            case State.DEAD if known.state is not State.DEAD and update.refuted >= known.refuted:
                self._suspected.end(update.peer)
                known = self._peers.change(update.peer, State.DEAD)
                known.refuted = update.refuted
                self._rumours.add(update)
                return [Suspect(update.peer, known.failed, at_ns)]
            case _:
                return []

    def _revive(self, update: Update, at_ns: int) -> list[Finding]:
        was_dead = self._peers.is_dead(update.peer)
        self._suspected.end(update.peer)
        known = self._peers.change(update.peer, State.ALIVE)
        known.refuted, known.failed = update.refuted, 0
        self._rumours.add(update)
        return [Clear(update.peer, at_ns)] if was_dead else []

    def _suspect(self, update: Update, known: Known, at_ns: int) -> None:
        if known.state is State.DEAD or update.refuted < known.refuted:
            return
        if known.state is State.SUSPECT and update.refuted == known.refuted:
            self._confirm(update)
            return
        self._peers.change(update.peer, State.SUSPECT).refuted = update.refuted
        by = update.by or self._me
        self._suspected.begin(update.peer, at_ns, by)
        self._rumours.add(update._replace(by=by))

    def _patience(self, _confirmed: int) -> int:
        return self._settings.suspicion_ns(self._size)

    def _confirm(self, update: Update) -> None:
        """Note that one more node suspects; in SWIM that shortens no suspicion."""

    def _protest(self) -> None:
        """Say at once that this node, which is taken for dead, lives."""

    def _refute(self, said: int) -> None:
        self._refuted = said + 1
        self._rumours.add(Update(self._me, State.ALIVE, self._refuted))
