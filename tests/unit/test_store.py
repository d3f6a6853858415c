"""Runs as tables."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import duckdb
import orjson
import pytest

from crunchbed.cli import app
from crunchbed.store.database import opened
from crunchbed.store.rows import TABLES
from reserve_agent.errors import BadInput
from tests.unit.judged_runs import ejecting_run, good_run, result_of, scenario


def make_run(path: Path, *, policy: str, seed: int, started: int = 0) -> None:
    path.mkdir(parents=True)
    recording = ejecting_run(seed) if policy == "none" else good_run(seed)
    result_of(recording, policy).write(path / "result.json")
    (path / "scenario.json").write_bytes(orjson.dumps(scenario(policy).resolved()))
    clock = {"unix_ns": (1_700_000_000 + started) * 10**9}
    (path / "run.json").write_bytes(orjson.dumps({"clock": clock}))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    make_run(root / "a", policy="none", seed=1)
    make_run(root / "sweep" / "runs" / "b", policy="memalloc", seed=1, started=60)
    make_run(root / "sweep" / "runs" / ".half.part", policy="memalloc", seed=2)
    return root


def test_figures_settings_nodes_and_packets_are_there(runs: Path) -> None:
    with opened(runs) as database:
        found = database.ask(
            "SELECT policy, seed, false_ejections, s.value FROM runs JOIN settings s USING (path) "
            "WHERE s.key = 'crunch.pages' ORDER BY policy"
        )
        assert found.rows == [("memalloc", 1, 0, "12000"), ("none", 1, 1, "12000")]
        (count,) = database.ask("SELECT count(DISTINCT node) FROM nodes").rows[0]
        assert count == 3
        for table, columns in TABLES.items():
            assert database.ask(f'FROM "{table}" LIMIT 0').columns == list(columns)


def test_what_a_sweep_has_not_finished_is_left_out(runs: Path) -> None:
    with opened(runs) as database:
        assert database.ask("SELECT count(*) FROM runs").rows == [(2,)]


def test_runs_below_a_hidden_directory_or_above_this_one_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / ".cache" / "runs"
    make_run(root / "a", policy="none", seed=1)
    (tmp_path / "one" / "two").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "one" / "two")
    for place in (root, Path("../../.cache/runs")):
        with opened(place) as database:
            assert database.ask("SELECT count(*) FROM runs").rows == [(1,)]


def test_a_damaged_run_is_named_and_left_out(runs: Path) -> None:
    (runs / "a" / "result.json").write_text("{")
    with opened(runs) as database:
        assert database.ask("SELECT count(*) FROM runs").rows == [(1,)]
        (reason,) = database.damaged
    assert str(runs / "a" / "result.json") in reason


def test_a_query_reaches_no_file(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with opened(runs) as database:
        for sql in (
            f"FROM read_csv('{tmp_path}/secret.csv')",
            f"COPY runs TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/x.db'",
            "SET enable_external_access = true",
        ):
            with pytest.raises(BadInput, match="query: "):
                database.ask(sql)
    assert not (tmp_path / "out.csv").exists()


def test_parquet_can_be_read_back(runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    with opened(runs, path) as database:
        database.write_parquet("SELECT policy, started FROM runs ORDER BY started", path)
    found = duckdb.connect().read_parquet(str(path)).project("policy").fetchall()
    assert found == [("none",), ("memalloc",)]
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_parquet_file_that_cannot_be_written(runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "no" / "x.parquet"
    with opened(runs, path) as database, pytest.raises(BadInput, match="query: IO Error"):
        database.write_parquet("FROM runs", path)


def test_no_runs_at_all(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected a directory of runs"), opened(tmp_path / "x"):
        pass
    with opened(tmp_path) as database:
        assert database.ask("FROM runs").rows == []


def ask(capsys: pytest.CaptureFixture[str], *argv: str) -> SimpleNamespace:
    code = app.main(argv)
    out, err = capsys.readouterr()
    return SimpleNamespace(code=code, out=out, err=err)


def test_history_lists_the_latest_first(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = ask(capsys, "history", "--runs", str(runs), "--json")
    assert done.code == 0
    assert [row["policy"] for row in orjson.loads(done.out)] == ["memalloc", "none"]
    limited = ask(capsys, "history", "--runs", str(runs), "--limit", "1")
    assert "memalloc" in limited.out
    assert "none" not in limited.out


def test_where_no_terminal_is_a_run_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / ("policy=memalloc-crunch.length=1s-" * 5) / "run"
    make_run(place, policy="none", seed=1)
    done = ask(capsys, "history", "--runs", str(tmp_path))
    assert len(done.out.splitlines()) == 2
    assert done.out.splitlines()[1].rstrip().endswith(str(place))


@pytest.mark.parametrize("sql", ["", " ", "/* nothing */", ";"])
def test_no_statement_at_all_is_one_line(
    sql: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = ask(capsys, "query", sql, "--runs", str(runs))
    assert (done.code, done.err) == (2, "crunchbed: query: expected a statement, got none\n")


def test_wrong_sql_is_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = ask(capsys, "query", "selct 1", "--runs", str(runs))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("crunchbed: query: Parser Error: ")
    assert done.err.count("\n") == 1
    assert ask(capsys, "query").code == 2


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    done = ask(capsys, "query", "--schema")
    assert "runs(path VARCHAR" in done.out
    assert "misses_unknown BIGINT" in done.out
