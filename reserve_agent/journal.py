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
    """Follows the ring that the hooks write; counts in ``lost`` what was overwritten unread."""

    def __init__(self, pool: Pool, journal: Journal) -> None:
        self._pool = pool
        self._journal = journal
        self._next = int(pool.journal_head)
        self.lost = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Events since the last call, oldest first."""
        head = int(self._pool.journal_head)
        if head - self._next > JOURNAL_ENTRIES:
            self.lost += head - self._next - JOURNAL_ENTRIES
            self._next = head - JOURNAL_ENTRIES
        while self._next < head:
            slot = self._journal.entries[self._next % JOURNAL_ENTRIES]
            entry = JournalEntry.from_buffer_copy(slot)
            # The hooks go on meanwhile, and write an entry before they count it.
            overwritten = int(self._pool.journal_head) - self._next >= JOURNAL_ENTRIES
            self._next += 1
            if overwritten:
                self.lost += 1
            else:
                yield _event(entry)


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
