"""The parts of the bench that need neither root nor a quiet machine."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from bench import block, commands, hooks, shaped, swim, timed
from bench.__main__ import PARTS
from bench.long_history import write_long_run
from bench.spread import Spread
from bench.timed import Times
from crunchbed.archive.rejudge import rejudge
from crunchbed.history.history import History
from reserve_agent.errors import CrunchbedError

ROOT = Path(__file__).resolve().parents[2]


def test_a_long_history_can_be_read_and_judged(tmp_path: Path) -> None:
    events = write_long_run(tmp_path / "long", 10_000)
    assert 9_000 < events < 12_000
    assert len(History.read(tmp_path / "long" / "history.jsonl").events) == events
    _, result = rejudge(tmp_path / "long")
    assert result.totals.heartbeats_sent > 0
    assert result.totals.heartbeats_missed > 0
    assert result.totals.pressure_episodes > 0
    assert result.totals.writes_acknowledged > 0


def test_a_command_is_timed_and_a_failed_one_is_told() -> None:
    took = timed.measure(ROOT, ["list"])
    assert took.processor > 0
    assert took.elapsed > 0
    with pytest.raises(CrunchbedError, match="exit code 2"):
        timed.measure(ROOT, ["no-such-command"])


def test_another_checkout_is_run_by_its_own_environment(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert timed.argv(tmp_path) == [str(python), "-m", "crunchbed.cli"]
    (tmp_path / "crunchbed").mkdir()
    (tmp_path / "crunchbed" / "__main__.py").touch()
    assert timed.argv(tmp_path) == [str(python), "-m", "crunchbed"]
    assert timed.argv(ROOT) == [sys.executable, "-m", "crunchbed"]


def test_another_checkout_without_an_environment_is_told_first(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "commands", "--beside", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"Error: {tmp_path}: has no .venv; run `make setup` there first\n"
    assert done.stdout == ""


def test_a_checkout_is_compared_by_processor_time() -> None:
    found = {
        ("list", "here"): [Times(1.0, 0.5)],
        ("list", "beside"): [Times(1.0, 0.25)],
        ("--help", "here"): [Times(1.0, 0.5)],
    }
    shown = io.StringIO()
    Console(width=120, file=shown).print(commands.STARTS.table(found))
    assert "2.00" in shown.getvalue()
    assert [row["checkout"] for row in commands.STARTS.as_dict(found)] == ["here", "beside", "here"]


def _table_of(table: Table) -> str:
    shown = io.StringIO()
    Console(width=150, file=shown).print(table)
    return shown.getvalue()


def test_a_loss_is_between_slices_of_one_turn() -> None:
    """The machine may be slow in one turn and fast in the next."""
    turns = [
        {variant: block.Slice(rate, 10.0) for variant in block.VARIANTS}
        | {block.HOOKS: block.Slice(rate * 0.99, 10.2)}
        for rate in (1000.0, 3000.0)
    ]
    rows = {row["variant"]: row for row in block.as_dict(turns)["rows"]}
    assert rows[block.HOOKS]["lost_percent"].median == pytest.approx(1.0)
    assert rows[block.HOOKS]["more_processor_percent"].largest == pytest.approx(2.0)
    assert rows[block.AGAIN]["lost_percent"].median == 0
    assert "1.0 (1.0..1.0)" in _table_of(block.table(turns))


def test_over_a_shaped_link_it_is_between_measurements_of_one_round() -> None:
    found = {variant: [shaped.Writes(25e6, 0.01)] for variant in shaped.VARIANTS}
    found[shaped.HOOKS] = [shaped.Writes(24.5e6, 0.02)]
    rows = {row["variant"]: row for row in shaped.as_dict(found)["rows"]}
    assert rows[shaped.HOOKS]["lost_percent"].median == pytest.approx(2.0)
    assert "20.00 (20.00..20.00)" in _table_of(shaped.table(found))


def test_the_hooks_have_a_goal_where_packets_are_not_booked() -> None:
    spreads = {cell: Spread.of([31.0]) for cell in hooks.cells()}
    shown = hooks.table(hooks.Result(spreads, {"clock": Spread.of([20.0])}))
    cells = [cell for column in shown.columns[3:] for cell in column.cells]
    red = [str(cell).startswith("[red]") for cell in cells]
    assert sum(red) == sum(map(hooks.counted_only, spreads)) == len(red) * 4 // 15


def test_in_the_cluster_of_the_bench_all_is_calm() -> None:
    cluster = swim.CalmCluster(70)  # more than datagrams have room for
    cluster.run(4_000_000_000)
    # Each node reports what it received after 1, 2 and 3 s, or 4: nothing else happens.
    assert 3 * 70 <= cluster.events <= 4 * 70
    cost = swim.measure(10, periods=2)
    assert cost.microseconds > 0
    assert swim.table({10: [cost]}).row_count == len(swim.as_dict({10: [cost]})) == 1


def test_every_command_that_is_timed_exists() -> None:
    for arguments in commands.COMMANDS.values():
        subprocess.run(
            [*timed.argv(ROOT), *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )


def test_the_help_names_every_part() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    assert set(PARTS) <= set(lines)
