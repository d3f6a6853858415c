"""How many frames a simulated machine hears per write, as real ones with the same card do."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.history.history import History
from crunchbed.run import engine
from crunchbed.scenario.loader import load
from reserve_agent.contract.events.pressure import PacketsCounted
from reserve_agent.contract.events.writes import WriteAcknowledged


@pytest.mark.parametrize(
    ("card", "least", "most"), [("e1000", 3.9, 5.1), ("vmxnet3", 2.4, 3.5), ("e1000e", 3.9, 5.1)]
)
def test_frames_of_a_write_by_card(card: str, least: float, most: float, tmp_path: Path) -> None:
    """Ranges of 32 runs of machines each with e1000 and vmxnet3; e1000e as e1000."""
    changes = {"cluster.backend": "simulation", "policy": "none", "memory.nic": card}
    phases = {"phases.control": "2s", "phases.inject": "1s", "phases.recovery": "1s"}
    scenario = load("control").with_overrides(
        {**changes, **phases, "memory.kernel": "linux-6.1", "expect": []}
    )
    engine.run(scenario, seed=1, out=tmp_path / "out")
    history = History.read(tmp_path / "out" / "history.jsonl")
    heard = sum(
        row["packets"]
        for row in history.of(PacketsCounted, "n1")[-1].table
        if (row["hook"], row["class"]) == ("receive", "block-io")
    )
    assert least < heard / len(history.of(WriteAcknowledged, "n1")) < most
