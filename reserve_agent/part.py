"""What a part of the history holds: counted while it is written, and again when it is merged."""

from __future__ import annotations

import hashlib
from collections import Counter

from reserve_agent.contract.events.run import PartClosed


class PartSum:
    """Adds up the events of one part, in the order in which they are on file.

    Attributes:
        writers: Number of events by writer and its life.
        kinds: Number of events by kind.
    """

    def __init__(self) -> None:
        self.writers: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self._digest = hashlib.sha256()

    def add(self, id_: str, kind: str, line: bytes) -> None:
        """Take one event into account; ``line`` is what is on file, with its newline."""
        self.writers[id_.partition(":")[0]] += 1
        self.kinds[kind] += 1
        self._digest.update(line)

    def closing(self) -> PartClosed:
        """Return the event that closes a part which holds this, and nothing else."""
        return PartClosed(
            writers=dict(self.writers), kinds=dict(self.kinds), sha256=self._digest.hexdigest()
        )
