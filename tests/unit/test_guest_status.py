"""What ``crunchbed status`` and ``crunchbed crunch`` show of a machine: its attendant's answer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crunchbed.live import runs, summary
from nodes.guest.operations import Operations
from nodes.guest.pressure import GuestPool, Pressure
from reserve_agent.record import NodeHistory


def test_an_attendants_status_is_shown_as_an_agents_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = GuestPool(total=9, free=5, reserve=3, pressure_episodes=2, pressure_ns=70)
    machine: Any = SimpleNamespace(policy="memalloc", metrics_port=0, life=None, pool=pool)
    history = NodeHistory(tmp_path / "n1.jsonl", "n1", lambda _event: None)
    operations = Operations(machine, history)
    monkeypatch.setattr(runs, "ask", lambda _run, _node, op: operations.answer({"op": op}))
    shown = summary._node("ab12", "n1", {})
    history.close()
    assert (shown.agent, shown.policy, shown.free_pages) == (True, "memalloc", 5)
    assert (shown.pressure_episodes, shown.pressure_ns) == (2, 70)


def test_episodes_are_counted_as_they_begin_and_their_time_as_it_ends() -> None:
    pool = GuestPool()
    pressure = Pressure(cast(Any, SimpleNamespace(host_ns=lambda ns: ns)), pool)

    def counted(at_ns: int, free: int) -> None:
        counters = SimpleNamespace(
            at_ns=at_ns,
            managed_pages=900,
            min_pages=50,
            free_pages=free,
            held_pages=0,
            ballast_pages=0,
            windows_begun=0,
            windows_ended=0,
        )
        pressure.counted(cast(Any, counters))

    counted(100, 500)
    counted(200, 40)
    assert (pool.pressure_episodes, pool.pressure_ns) == (1, 0)
    counted(300, 30)
    counted(450, 500)
    assert (pool.pressure_episodes, pool.pressure_ns) == (1, 250)
    counted(500, 10)
    assert pool.pressure_episodes == 2
    pressure.close(600)
    assert pool.pressure_ns == 350
