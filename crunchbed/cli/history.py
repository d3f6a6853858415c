"""``crunchbed history`` and ``crunchbed query``: all runs as tables."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import click
import orjson
from rich.markup import escape

from crunchbed.cli.options import DEFAULT_PARENT
from crunchbed.cli.output import FILE
from crunchbed.report.table import new_table, open_console
from crunchbed.store.database import Answer, Database, opened
from crunchbed.store.rows import TABLES
from reserve_agent.errors import BadInput

_LATEST = """
SELECT strftime(started, '%Y-%m-%d %H:%M') AS started, scenario, policy, flags, seed, verdict,
    false_ejections, heartbeats_missed, io_longest_stall_seconds, path
FROM runs WHERE (? IS NULL OR scenario = ?)
ORDER BY runs.started DESC NULLS LAST, path DESC LIMIT ?
"""

_WIDEST = 100_000
_runs = click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=DEFAULT_PARENT,
    show_default=True,
    help="Directory with the runs, at whatever depth.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")


@click.command()
@_runs
@click.option("--scenario", metavar="NAME", help="Only this scenario's.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, latest first."
)
@_json
def history(runs: Path, scenario: str | None, limit: int, as_json: bool) -> None:
    """List the latest runs.

    \b
    Examples:
      crunchbed history
      crunchbed history --scenario writeback-crunch --limit 5 --json
    """  # noqa: D301 - \b is click's
    with opened(runs) as database:
        answer = database.ask(_LATEST, (scenario, scenario, limit))
        _warn(database)
    _show(answer, as_json=as_json)


def _schema() -> str:
    lines = []
    for name, columns in TABLES.items():
        listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        lines.append(f"{name}({listed})")
    return "\n\n".join(lines)


@click.command()
@click.argument("sql", required=False)
@_runs
@_json
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option(
    "--parquet",
    type=FILE,
    metavar="FILE",
    help="Write a Parquet file, for pandas.read_parquet and the like.",
)
@click.option("--schema", is_flag=True, help="Print the tables and their columns.")
def query(
    sql: str | None, runs: Path, as_json: bool, as_csv: bool, parquet: Path | None, schema: bool
) -> None:
    """Ask SQL (DuckDB's) about all runs: tables runs, nodes, packets and settings.

    \b
    Examples:
      crunchbed query --schema
      crunchbed query "select policy, count(*), avg(false_ejections) from runs
          where verdict in ('pass', 'fail') group by policy"
      crunchbed query "select s.value::int as pages, sum(false_ejections) from runs
          join settings s using (path) where s.key = 'crunch.pages' group by 1 order by 1"
      crunchbed query "from runs" --parquet runs.parquet
    """  # noqa: D301 - \b is click's
    if schema:
        click.echo(_schema())
        return
    if sql is None:
        raise BadInput('query: expected SQL, such as "from runs"; the tables: --schema')
    with opened(runs, parquet) as database:
        _warn(database)
        if parquet is not None:
            database.write_parquet(sql, parquet)
            click.echo(f"written: {parquet}", err=True)
            return
        answer = database.ask(sql)
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
    else:
        _show(answer, as_json=as_json)


def _warn(database: Database) -> None:
    for reason in database.damaged:
        click.echo(f"crunchbed: left out: {reason}", err=True)


def _show(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        found = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        click.echo(orjson.dumps(found, default=str, option=orjson.OPT_INDENT_2).decode())
        return
    console = open_console()
    table = new_table(console, map(escape, answer.columns), overflow="fold")
    for row in answer.rows:
        table.add_row(*(escape(_text(value)) for value in row))
    if not console.is_terminal:
        console.width = _WIDEST  # a row is a line, for grep and cut, however long its path is
    console.print(table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
