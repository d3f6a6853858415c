"""What one datagram says: what its bytes mean, or what a simulation has in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodes.membership.datagram import size_of
from nodes.membership.detector import Message
from nodes.membership.views import Gossip


@dataclass(slots=True, eq=False)  # not frozen, which is slow to make
class Said:
    """What ``sender`` says to the membership and to the detector of whoever hears it.

    Attributes:
        boots: The boot of each node that a rumour of ``message`` is about, in their order.
    """

    sender: str
    gossip: Gossip
    message: Message
    boots: tuple[int, ...] = ()

    def heard_by(self, boots: Mapping[str, int]) -> Message:
        """Return the message without the rumours that are about other boots than those of members.

        Args:
            boots: The members' incarnations, by name, as the hearer knows them.
        """
        updates = self.message.updates
        if not updates:
            return self.message
        kept = tuple(
            update
            for update, boot in zip(updates, self.boots, strict=True)
            if boots.get(update.peer) == boot
        )
        return self.message if len(kept) == len(updates) else self.message._replace(updates=kept)

    @property
    def size(self) -> int:
        """Bytes of the datagram; see ``size_of``."""
        return size_of(self.message.kind, len(self.gossip.view.members), len(self.boots))


def said_of(sender: str, gossip: Gossip, message: Message, boots: Mapping[str, int | None]) -> Said:
    """Return what ``sender`` says by ``gossip`` and by what its detector has to say.

    Rumours about nodes that have no boot in ``boots``, by name, are left out.
    """
    updates = message.updates
    if not updates:
        return Said(sender, gossip, message)
    found = [(update, boot) for update in updates if (boot := boots.get(update.peer)) is not None]
    kept = tuple(update for update, _ in found)
    if len(kept) < len(updates):
        message = message._replace(updates=kept)
    return Said(sender, gossip, message, tuple(boot for _, boot in found))
