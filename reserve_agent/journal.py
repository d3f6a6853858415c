"""Reading the hooks' journal: pressure episodes with exact times, and dropped packets."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.pressure import PacketDropped, PressureBegan, PressureEnded
from reserve_agent.contract.packets import Hook, PacketClass, Reason
from reserve_agent.hooks.layout import JOURNAL_ENTRIES, Entry, Journal, JournalEntry, Pool


class JournalReader:
    """Follows the ring that the hooks write; counts in ``lost`` what was overwritten unread.

    ``start`` is the number of the first entry to read; None: the next entry that is written.
    """

    def __init__(self, pool: Pool, journal: Journal, start: int | None = None) -> None:
        self._pool = pool
        self._journal = journal
        self.next = int(pool.journal_head) if start is None else start
        self.lost = 0

    def new(self) -> Iterator[Event]:
        """Events since the last call, oldest first."""
        head = int(self._pool.journal_head)
        if head - self.next > JOURNAL_ENTRIES:
            self.lost += head - self.next - JOURNAL_ENTRIES
            self.next = head - JOURNAL_ENTRIES
        while self.next < head:
            slot = self._journal.entries[self.next % JOURNAL_ENTRIES]
            entry = JournalEntry.from_buffer_copy(slot)
            # The hooks write on meanwhile, and write an entry before they count it.
            overwritten = int(self._pool.journal_head) - self.next >= JOURNAL_ENTRIES
            self.next += 1
            if overwritten:
                self.lost += 1
            else:
                yield _event(entry, self.next - 1)


def _event(entry: JournalEntry, number: int) -> Event:
    t, value = int(entry.t), int(entry.value)
    if entry.kind == Entry.PRESSURE_BEGIN:
        return PressureBegan(t=t, free=value, entry=number)
    if entry.kind == Entry.PRESSURE_END:
        return PressureEnded(t=t, since=value, duration_ns=t - value, entry=number)
    return PacketDropped(
        t=t,
        hook=Hook(entry.hook).name.lower(),
        reason=Reason(entry.reason).name.lower(),
        cls=PacketClass(entry.cls).label,
        src=_address(entry.source),
        dst=_address(entry.destination),
        tag=int(entry.tag).to_bytes(8, sys.byteorder).hex(),
        pages=value,
        entry=number,
    )


def _address(network_order: int) -> str:
    return ".".join(map(str, network_order.to_bytes(4, sys.byteorder)))
