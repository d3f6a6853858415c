"""Reading the hooks' journal: pressure episodes with exact times, and drops worth a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reserve_agent.hooks.layout import (
    JOURNAL_ENTRIES,
    Entry,
    Hook,
    Journal,
    JournalEntry,
    PacketClass,
    Pool,
    Reason,
)


class JournalReader:
    """Follows the ring that the hooks write; counts in ``lost`` what was overwritten unread.

    Args:
        pool: Holds the ring's head.
        journal: The ring.
        start: Number of the first entry to read; what comes next when left out.
    """

    def __init__(self, pool: Pool, journal: Journal, start: int | None = None) -> None:
        self._pool = pool
        self._journal = journal
        self.next = int(pool.journal_head) if start is None else start
        self.lost = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Events since the last call, oldest first; ``entry`` is its number in the journal."""
        head = int(self._pool.journal_head)
        if head - self.next > JOURNAL_ENTRIES:
            self.lost += head - self.next - JOURNAL_ENTRIES
            self.next = head - JOURNAL_ENTRIES
        while self.next < head:
            slot = self._journal.entries[self.next % JOURNAL_ENTRIES]
            entry = JournalEntry.from_buffer_copy(slot)
            # The hooks go on meanwhile, and write an entry before they count it.
            overwritten = int(self._pool.journal_head) - self.next >= JOURNAL_ENTRIES
            self.next += 1
            if overwritten:
                self.lost += 1
            else:
                yield {**_event(entry), "entry": self.next - 1}


def _event(entry: JournalEntry) -> dict[str, Any]:
    t, value = int(entry.t), int(entry.value)
    if entry.kind == Entry.PRESSURE_BEGIN:
        return {"t": t, "kind": "pressure.begin", "free": value}
    if entry.kind == Entry.PRESSURE_END:
        return {"t": t, "kind": "pressure.end", "since": value, "duration_ns": t - value}
    return {
        "t": t,
        "kind": "drop",
        "hook": Hook(entry.hook).name.lower(),
        "reason": Reason(entry.reason).name.lower(),
        "cls": PacketClass(entry.cls).label,
        "src": ".".join(map(str, entry.source)),
        "dst": ".".join(map(str, entry.destination)),
        "tag": bytes(entry.tag).hex(),
        "pages": value,
    }
