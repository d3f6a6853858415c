"""Run directories as a DuckDB database in memory, read anew each time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import orjson

from crunchbed.host.scratch import scratch
from crunchbed.run.signals import ended_by_signals
from crunchbed.store.rows import TABLES, rows, run_directories
from reserve_agent.errors import BadInput
from reserve_agent.files import partial_of, whole


class Answer(NamedTuple):
    """The answer to a query: names of columns, and rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


@contextlib.contextmanager
def opened(root: Path, parquet: Path | None = None) -> Iterator[Database]:
    """Open a database of all runs below ``root``, without damaged ones, which it names.

    Statements can reach no file but the one that becomes ``parquet``. BadInput: no such directory.
    """
    directories = run_directories(root)
    connection = duckdb.connect(":memory:")
    try:
        damaged = _fill(connection, directories)
        if parquet is not None:
            allowed = [str(partial_of(parquet.absolute()))]
            connection.execute("SET allowed_paths = ?", [allowed])
        connection.execute("SET enable_external_access = false")
        yield Database(connection, damaged)
    finally:
        connection.close()


def _fill(connection: duckdb.DuckDBPyConnection, directories: Sequence[Path]) -> list[str]:
    """Fill the tables; return why a directory was left out, for each that was.

    Rows go through files of JSON lines, since DuckDB takes many rows at once that way.
    """
    damaged: list[str] = []
    with (
        ended_by_signals(),
        scratch("query") as place,
        contextlib.ExitStack() as stack,
    ):
        paths = {name: place / f"{name}.jsonl" for name in TABLES}
        files = {name: stack.enter_context(path.open("wb")) for name, path in paths.items()}
        for directory in directories:
            try:
                found = list(rows(directory))
            except BadInput as error:
                damaged.append(str(error))
                continue
            for table, row in found:
                files[table].write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        for file in files.values():
            file.flush()
        for name, columns in TABLES.items():
            definition = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
            connection.execute(f'CREATE TABLE "{name}" ({definition})')
            if paths[name].stat().st_size:
                connection.execute(
                    f'INSERT INTO "{name}" SELECT * FROM read_json(?, columns = ?, '  # noqa: S608 - our own names
                    "format = 'newline_delimited')",
                    [str(paths[name]), dict(columns)],
                )
    return damaged


class Database:
    """All runs below a directory, open for queries; ``damaged`` says why runs were left out."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, damaged: list[str]) -> None:
        self._connection = connection
        self.damaged = damaged

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> Answer:
        """Run one statement; BadInput, with the reason, where DuckDB refuses it."""
        try:
            cursor = self._connection.execute(sql, list(parameters))
            if cursor is None:
                raise BadInput("query: expected a statement, got none")
            columns = [column[0] for column in cursor.description or ()]
            return Answer(columns, cursor.fetchall())
        except duckdb.Error as error:
            raise BadInput(f"query: {' '.join(str(error).split())}") from None

    def write_parquet(self, sql: str, path: Path) -> None:
        """Write what a query finds into the Parquet file that the database was opened with.

        BadInput: DuckDB refuses the query, or the file cannot be written, whole or not at all.
        """
        try:
            relation = self._connection.sql(sql)
            if relation is None:
                raise BadInput("query: expected a SELECT for --parquet")
            with whole(path.absolute()) as partial:
                relation.write_parquet(str(partial))
        except duckdb.Error as error:
            raise BadInput(f"query: {' '.join(str(error).split())}") from None
        except OSError as error:
            raise BadInput(f"--parquet {path}: cannot be written: {error.strerror}") from None
