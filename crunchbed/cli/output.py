"""What commands print: text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import orjson

from reserve_agent.errors import CrunchbedError

FILE: Final = click.Path(path_type=Path, dir_okay=False)
DIRECTORY: Final = click.Path(path_type=Path, file_okay=False)
json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."
)


def print_json(value: object) -> None:
    """Print one value on stdout, indented."""
    try:
        click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    except TypeError:  # a path that is not UTF-8: its odd bytes are escaped
        click.echo(json.dumps(value, indent=2))


def say(text: str, done: Mapping[str, Any], *, as_json: bool) -> None:
    """Say what was done: ``text`` to people, ``done`` to programs."""
    if as_json:
        print_json(done)
    else:
        click.echo(text)


@contextmanager
def beside_the_verdict(what: Path | None) -> Iterator[None]:
    """Within the block ``what`` is written; where that fails, say so, and keep the exit code.

    The run is judged by then, and its verdict must not be hidden by a full disk.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (CrunchbedError, OSError, ValueError) as error:
        why = " ".join(str(error).split())
        named = why if str(what) in why else f"{what}: {why}"
        click.echo(f"not written: {named}", err=True)
