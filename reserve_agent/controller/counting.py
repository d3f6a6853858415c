"""Asks every switch for its counters, again and again until they stand still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from reserve_agent.controller.rules.counts import PacketTable
from reserve_agent.controller.switches import Switches

ANSWER_SECONDS = 5.0
SCRAPE_SECONDS = 0.3
_LAG_SECONDS = 0.6
"""Open vSwitch adds the packets of its fast path to a flow's counters every half second."""
_MOST_READINGS = 5
_POLL_SECONDS = 0.01
Wait = Callable[[float], object]
"""Lets so many seconds pass, or fewer where something happens."""


def count_packets(switches: Switches, wait: Wait) -> PacketTable | None:
    """Packets by node and class at all switches, once two readings in a row are the same.

    Where traffic goes on, no two readings are the same, and the last reading counts.

    Returns:
        The table; None where a switch has not answered in ``ANSWER_SECONDS``.
    """
    table = None
    for _ in range(_MOST_READINGS):
        before = table
        table = _read(switches, ANSWER_SECONDS, wait)
        if table is None or (before is not None and table.arrived() == before.arrived()):
            return table
        _pass(_LAG_SECONDS, lambda: False, wait)
    return table


def _pass(seconds: float, there: Callable[[], bool], wait: Wait) -> bool:
    deadline = time.monotonic() + seconds
    while not there() and (left := deadline - time.monotonic()) > 0:
        wait(left)
    return there()


def read_packets(switches: Switches) -> PacketTable | None:
    """Packets by node and class at all switches, read once; from any thread.

    Returns:
        The table; None where a switch has not answered in ``SCRAPE_SECONDS``.
    """
    return _read(switches, SCRAPE_SECONDS, threading.Event().wait)


def _read(switches: Switches, seconds: float, wait: Wait) -> PacketTable | None:
    replies = switches.ask_all(("flows", "dropped"))
    table = PacketTable(switches.network, switches.shed_settings)

    def all_there() -> bool:
        return all(one.arrived for both in replies.values() for one in both)

    if not _pass(seconds, all_there, lambda _: wait(_POLL_SECONDS)):
        return None
    for name, (flows, dropped) in replies.items():
        table.add_switch(name, flows.content, dropped.content)
    return table
