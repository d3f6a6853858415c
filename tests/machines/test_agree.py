"""One cell of the fidelity matrix: the simulation says what a kernel does."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.system.command import Command

pytestmark = pytest.mark.root


def test_the_simulation_says_what_a_kernel_does(tmp_path: Path) -> None:
    """With the disk's socket flagged alone a node writes on and hears no heartbeat."""
    words = ("--backends", "machines,simulation", "--policies", "memalloc", "--json")
    short = ("--set", "phases.control=2s", "--out", tmp_path / "out")
    command = Command("agree", "deaf-not-mute", *words, *short)
    try:
        code = command.end(180)
    finally:
        command.kill()
    (cell,) = orjson.loads(command.output)["cells"]
    assert cell["differences"] == []
    assert (code, cell["state"], cell["judged"]) == (0, "agree", True), command.errors
    assert [run["misses"].keys() for run in cell["runs"]] == [{"reserve_drop"}] * 2
