"""Corosync in a guest: it forms a ring, and its watcher tells the host what it says."""

from __future__ import annotations

from pathlib import Path

from nodes.corosync.config import CorosyncSettings, Totem
from nodes.guest import commands
from nodes.guest.corosync_news import CorosyncNews, Ended, LogLine, PacketsOf, QuorumSaid
from nodes.guest.machine_link import MachineLink
from tests.machines.guest import booted, wait_for

LEAST_FREE_PAGES = 10_000
"""What a guest without corosync has about."""
SETTINGS = CorosyncSettings(
    node="n1",
    cluster="test",
    addresses={"n1": ("10.0.2.15",), "n2": ("10.0.2.16",)},
    port=5405,
    totem=Totem(token=1000, token_coefficient=0, token_retransmits_before_loss_const=4, join=50),
)


def test_a_corosync_that_is_alone_says_who_it_is_and_that_it_has_no_quorum(tmp_path: Path) -> None:
    with booted("6.1", "e1000", tmp_path, SETTINGS) as guest:
        link = MachineLink(guest.shared)
        heard: list[CorosyncNews] = []

        def counted() -> bool:
            heard.extend(link.poll().corosync)
            return any(isinstance(one, PacketsOf | Ended) for one in heard)

        assert wait_for(counted, 60), (heard, guest.console.read_text())
        flag = commands.flag_corosync(SETTINGS.port, "memalloc", ("heartbeat",))
        flagged = guest.do(flag.kind, flag.body)
        counters = guest.shared.counters()
    assert counters is not None
    assert counters.free_pages_all > LEAST_FREE_PAGES
    assert (flagged.result, flagged.value) == (0, 1)
    last = [one for one in heard if isinstance(one, QuorumSaid)][-1]
    assert (last.members, last.quorate) == ((1,), False)
    assert any("Corosync Cluster Engine" in one.text for one in heard if isinstance(one, LogLine))
    assert {one.peer for one in heard if isinstance(one, PacketsOf)} == {2}
    assert link.lost == 0
