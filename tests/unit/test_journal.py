"""Following the hooks' ring, at whatever pace they write it."""

from __future__ import annotations

import sys

import pytest

from nodes.membership.datagram import tag_of
from reserve_agent.contract.events.pressure import PacketDropped, PressureBegan, PressureEnded
from reserve_agent.contract.packets import Hook, PacketClass, Reason
from reserve_agent.hooks.layout import JOURNAL_ENTRIES, Entry, Journal, Pool
from reserve_agent.journal import JournalReader


class Hooks:
    """Write the ring as ``pool.bpf.h`` does: the entry first, then the head."""

    def __init__(self, head: int = 0) -> None:
        self.pool = Pool(journal_head=head)
        self.journal = Journal()

    def write(self, t: int, kind: Entry = Entry.PRESSURE_BEGIN, value: int = 0) -> None:
        entry = self.journal.entries[self.pool.journal_head % JOURNAL_ENTRIES]
        entry.t, entry.kind, entry.value = t, kind, value
        self.pool.journal_head += 1

    def reader(self) -> JournalReader:
        return JournalReader(self.pool, self.journal)


def test_pressure_has_its_exact_times() -> None:
    hooks = Hooks()
    reader = hooks.reader()
    hooks.write(1000, Entry.PRESSURE_BEGIN, 256)
    hooks.write(51_000, Entry.PRESSURE_END, 1000)
    assert list(reader.new()) == [
        PressureBegan(t=1000, free=256, entry=0),
        PressureEnded(t=51_000, since=1000, duration_ns=50_000, entry=1),
    ]
    assert list(reader.new()) == []


def test_a_drop_says_whose_packet_it_was() -> None:
    hooks = Hooks()
    reader = hooks.reader()
    entry = hooks.journal.entries[0]
    entry.tag = int.from_bytes(bytes.fromhex(tag_of(1, 2, 77)), sys.byteorder)
    entry.source = int.from_bytes((10, 77, 0, 2), sys.byteorder)
    entry.destination = int.from_bytes((10, 77, 0, 1), sys.byteorder)
    entry.hook, entry.reason = Hook.DELIVER, Reason.NOT_MEMALLOC
    entry.cls = PacketClass.HEARTBEAT
    hooks.write(5, Entry.DROP, 1)
    assert list(reader.new()) == [
        PacketDropped(
            t=5,
            hook="deliver",
            reason="not_memalloc",
            cls="heartbeat",
            src="10.77.0.2",
            dst="10.77.0.1",
            tag=tag_of(1, 2, 77),
            pages=1,
            entry=0,
        )
    ]


def test_reading_begins_where_the_ring_is() -> None:
    hooks = Hooks(head=3)
    reader = hooks.reader()
    hooks.write(9)
    assert [event.t for event in reader.new()] == [9]


def test_a_successor_begins_where_the_other_stopped() -> None:
    hooks = Hooks()
    before = hooks.reader()
    hooks.write(1)
    hooks.write(2)
    assert [event.entry for event in before.new()] == [0, 1]
    hooks.write(3)
    hooks.write(4)
    after = JournalReader(hooks.pool, hooks.journal, start=2)
    assert [(event.t, event.entry) for event in after.new()] == [(3, 2), (4, 3)]
    for t in range(JOURNAL_ENTRIES + 5):
        hooks.write(t)
    late = JournalReader(hooks.pool, hooks.journal, start=4)
    heard = list(late.new())
    assert len(heard) + late.lost == JOURNAL_ENTRIES + 5
    assert late.lost in (5, 6)


@pytest.mark.parametrize("head", [0, JOURNAL_ENTRIES - 2, 10**6])
def test_the_ring_goes_round(head: int) -> None:
    hooks = Hooks(head)
    reader = hooks.reader()
    for start in range(0, 5 * JOURNAL_ENTRIES, JOURNAL_ENTRIES // 2):
        times = list(range(start, start + JOURNAL_ENTRIES // 2))
        for t in times:
            hooks.write(t)
        assert [event.t for event in reader.new()] == times
    assert reader.lost == 0


def test_what_was_overwritten_unread_is_counted() -> None:
    hooks = Hooks()
    reader = hooks.reader()
    for t in range(JOURNAL_ENTRIES + 10):
        hooks.write(t)
    times = [event.t for event in reader.new()]
    assert times == list(range(JOURNAL_ENTRIES + 10))[-len(times) :]
    assert len(times) + reader.lost == JOURNAL_ENTRIES + 10
    assert reader.lost in (10, 11), "the oldest may be being overwritten right now"
    hooks.write(7)
    assert [event.t for event in reader.new()] == [7]


def test_what_is_overwritten_while_it_is_read_is_counted_and_not_taken_for_another() -> None:
    hooks = Hooks()
    reader = hooks.reader()
    for t in range(JOURNAL_ENTRIES // 2):
        hooks.write(t)
    events = reader.new()
    assert next(events).t == 0
    for t in range(10_000, 10_000 + JOURNAL_ENTRIES):
        hooks.write(t)
    assert list(events) == []
    later = [event.t for event in reader.new()]
    assert later == list(range(10_000, 10_000 + JOURNAL_ENTRIES))[-len(later) :]
    assert 1 + len(later) + reader.lost == JOURNAL_ENTRIES // 2 + JOURNAL_ENTRIES
