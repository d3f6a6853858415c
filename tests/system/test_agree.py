"""Two scenarios on namespaces and in the simulation: they agree. `make agree` has them all."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.system.command import Command

pytestmark = pytest.mark.root

SHORT = (
    *("--set", "phases.control=1s", "--set", "phases.recovery=6s"),
    *("--set", "cluster.switch=linux-bridge", "--backends", "namespaces,simulation", "--json"),
)
CELLS = {
    "the proposal of 2005": ("writeback-crunch", "none"),
    "a kernel's profile": ("kernel-unflagged-heartbeats", "memalloc"),
}


@pytest.mark.parametrize("model", CELLS)
def test_the_simulation_says_what_namespaces_say(model: str, tmp_path: Path) -> None:
    scenario, policy = CELLS[model]
    words = ("--policies", policy, "--out", tmp_path / "out")
    command = Command("agree", scenario, *words, *SHORT)
    try:
        code = command.end(60)
    finally:
        command.kill()
    told = orjson.loads(command.output)
    (cell,) = told["cells"]
    assert cell["differences"] == []
    assert (code, cell["state"]) == (0, "agree"), command.errors
    assert [run["backend"] for run in cell["runs"]] == ["namespaces", "simulation"]
    assert all(sum(run["misses"].values()) > 5 for run in cell["runs"]), "it is about something"
