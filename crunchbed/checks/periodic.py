"""Whether what is recorded again and again fits what is recorded as it happens.

The pool is sampled every 50 ms, heartbeats are numbered by their senders and counted by hooks and
receivers, and the hooks number the entries of their journal. A gap in any of them is time, or are
events, that nobody recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from crunchbed.checks import heartbeats, lateness
from crunchbed.checks.lives import downtimes
from crunchbed.checks.packets import rows
from crunchbed.history.history import History, Interval
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.guests import GuestReady
from reserve_agent.contract.events.heartbeats import HeartbeatLate, HeartbeatReceived, HeartbeatSent
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.contract.events.pressure import (
    AgentRestarted,
    HookEventsLost,
    JournalFollowed,
    PacketDropped,
    PacketsCounted,
    PoolConfigured,
    PoolSampled,
    PressureBegan,
    PressureEnded,
)

_SAMPLE_NS: Final = 250_000_000
"""Five times what is between two samples."""
_RESUMED_NS: Final = 1_000_000_000
_UNSEEN: Final = 64
"""Pages that may move while a sample is taken."""
_FEW: Final = 100
_WRITTEN_DOWN: Final = ("heartbeat", "block-io", "control")


def contradictions(history: History, scenario: Scenario) -> list[str]:
    """Return where the periodic records of a numbered history show that others are missing."""
    return [
        reason
        for node in scenario.node_names
        for reason in (
            *(() if scenario.summarised else _sampled(history, node)),
            *_pages(history, scenario, node),
            *_journal(history, node),
            *_heartbeats(history, scenario, node),
        )
    ]


def _sampled(history: History, node: str) -> Iterator[str]:
    """A node without memory, on another backend, has no samples at all."""
    samples, collect = history.of(PoolSampled, node), history.phase("collect")
    if not history.of(PoolConfigured, node):
        if samples:
            yield f"{node}: samples of a pool that was never configured"
        return
    if collect is None:
        return
    times = [sample.t for sample in samples if sample.t < collect.start]
    times = [history.of(PoolConfigured, node)[0].t, *times, collect.start]
    late = lateness.agent_ns(history, node)
    restarts = [event.t for event in history.of(AgentRestarted, node)]
    for before, after in pairwise(times):
        if after - before > _SAMPLE_NS + late and not any(before <= t <= after for t in restarts):
            yield f"{node}: no sample of the pool for {seconds(after - before):.3f} s"
            return


def _pages(history: History, scenario: Scenario, node: str) -> Iterator[str]:
    """A crunch may take pages out of the sum that samples show; a kernel has other uses too."""
    if scenario.crunch is not None and scenario.crunch.kind == "timed":
        return
    if history.of(GuestReady, node) or scenario.nic is not None:
        return
    sums = [
        one.free + one.dirty + one.rx_running + one.rx_stalled + one.hoarded + one.tx + one.stock
        for one in history.of(PoolSampled, node)
    ]
    if sums and max(sums) - min(sums) > 2 * _UNSEEN:
        yield f"{node}: its pool had {min(sums)} pages at one moment and {max(sums)} at another"


def _journal(history: History, node: str) -> Iterator[str]:
    """The hooks number what they write; a reader that found some overwritten says so."""
    if history.of(HookEventsLost, node):
        return
    written: list[PressureBegan | PressureEnded | PacketDropped]
    written = history.together(PressureBegan, PressureEnded, PacketDropped, node=node)
    entries = sorted(event.entry for event in written if event.entry is not None)
    starts = [event.next for event in history.of(JournalFollowed, node)]
    first = starts[0] if starts else 0
    if entries and entries != list(range(first, first + len(entries))):
        yield f"{node}: entries of the hooks' journal are missing, or there twice"
    yield from _drops(history, node)
    if any(one.duration_ns != one.t - one.since for one in history.of(PressureEnded, node)):
        yield f"{node}: a pressure episode has another length than from its begin to its end"


def _drops(history: History, node: str) -> Iterator[str]:
    """Of the traffic that matters the hooks write down every buffer that they drop.

    Pages are compared: a buffer of several segments is one record, and counts as several packets.
    """
    counted: Counter[str] = Counter()
    for row in rows(history, node):
        if row["verdict"] == "drop":
            counted[row["class"]] += row["pages"]
    written: Counter[str] = Counter()
    for event in history.of(PacketDropped, node):
        written[event.cls] += event.pages
    for cls in _WRITTEN_DOWN:
        if counted[cls] > written[cls]:
            yield f"{node}: {counted[cls]} pages of {cls} were dropped, {written[cls]} are there"


def _heartbeats(history: History, scenario: Scenario, node: str) -> Iterator[str]:
    control = history.phase("control")
    if control is None:
        return
    if not history.of(ViewInstalled, node):
        yield f"{node}: it never had a view of the cluster"
    if scenario.membership == "crunchbed":  # corosync's packets are counted now and then
        stood = lateness.longest_seconds(history, node, control)
        if not heartbeats.sent(history, node, control) and stood < seconds(control.length) / 2:
            yield f"{node}: no heartbeat was sent in the control phase"
        yield from _numbers(history, node)
        yield from _counts(history, node)


def _numbers(history: History, node: str) -> Iterator[str]:
    """A sender counts its intervals from its start; a number is left out where it was late."""
    late = [event.t for event in history.of(HeartbeatLate, node)]
    sent = [one for one in history.of(HeartbeatSent, node) if one.what is None]
    for before, after in pairwise(sent):
        if before.seq is None or after.seq is None or before.seq <= after.seq <= before.seq + 1:
            continue
        gap = Interval(before.t, after.t + _RESUMED_NS)
        restarted = any(gap.clip(down) for down in downtimes(history, node))
        if not restarted and not any(t in gap for t in late):
            yield f"{node}: its heartbeats {before.seq} and {after.seq} follow each other"
            return


def _counts(history: History, node: str) -> Iterator[str]:
    """Hooks count every heartbeat; a datagram of several rings is counted on each of them."""
    if not history.of(PacketsCounted, node):
        return
    counted: Counter[tuple[str, str]] = Counter()
    for row in rows(history, node):
        if row["class"] == "heartbeat":
            counted[row["hook"], row["verdict"]] += row["packets"]
    got = sum(event.total for event in history.of(HeartbeatReceived, node))
    delivered = counted["deliver", "pass"] or counted["receive", "pass"]
    if got > delivered or (delivered > _FEW and got < delivered // 4):
        yield f"{node}: the hooks let {delivered} heartbeats in, and its daemon has received {got}"
    sent, passed = heartbeats.sent(history, node), counted["transmit", "pass"]
    if passed > 2 * sent + _FEW:
        yield f"{node}: the hooks let {passed} heartbeats out, and its daemon has sent {sent}"
