"""What commands print: text for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click
import orjson

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."
)


def print_json(value: object) -> None:
    """Print one value on stdout, indented."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def say(text: str, done: Mapping[str, Any], *, as_json: bool) -> None:
    """Say what was done: ``text`` to people, ``done`` to programs."""
    if as_json:
        print_json(done)
    else:
        click.echo(text)
