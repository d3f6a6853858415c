"""Asks every switch for its counters, and again until they have come to rest."""

from __future__ import annotations

import threading
from collections.abc import Callable

from reserve_agent.controller.requests import HeldFlow
from reserve_agent.controller.rules import cookie
from reserve_agent.controller.rules.counts import Counted, PacketTable
from reserve_agent.controller.switchboard import Switchboard

ANSWER_SECONDS = 5.0
GLANCE_SECONDS = 0.3
_LAG_SECONDS = 0.6
"""Open vSwitch adds the packets of its fast path to a flow's counters every half second."""
_MOST_READINGS = 5


def count_packets(board: Switchboard, clock: Callable[[], float]) -> PacketTable | None:
    """Packets by node and class at all switches, once two readings in a row are the same.

    Where traffic goes on that never happens, and the last reading counts.

    Args:
        board: The switches.
        clock: Seconds, monotonic.

    Returns:
        The table; None where a switch has not answered in ``ANSWER_SECONDS``.
    """
    table: PacketTable | None = None
    for _ in range(_MOST_READINGS):
        before = table
        table = _read(board, clock() + ANSWER_SECONDS, clock)
        if table is None or (before is not None and table.arrived() == before.arrived()):
            return table
        threading.Event().wait(_LAG_SECONDS)
    return table


def glance(board: Switchboard, clock: Callable[[], float]) -> PacketTable | None:
    """The same in one reading, for who looks again and again; from any thread.

    Returns:
        The table; None where a switch has not answered in ``GLANCE_SECONDS``.
    """
    return _read(board, clock() + GLANCE_SECONDS, clock)


def _read(board: Switchboard, deadline: float, clock: Callable[[], float]) -> PacketTable | None:
    answers = board.ask_all(("flows", "dropped"))
    table = PacketTable(board.network, board.shed_settings)
    for name, (flows, dropped) in answers.items():
        if not (flows.wait(deadline - clock()) and dropped.wait(deadline - clock())):
            return None
        table.add_switch(name, _counted(flows.content), dropped.content)
    return table


def _counted(flows: list[HeldFlow]) -> list[Counted]:
    found = []
    for held in flows:
        decoded = cookie.decode(held.cookie)
        if decoded is not None:
            found.append(Counted(decoded[0], held.packets, held.bytes))
    return found
