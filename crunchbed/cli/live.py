"""What the commands on a live run share: who may give them, and which run is meant."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import click
import orjson

from reserve_agent.errors import MissingRequirement


def need_root() -> None:
    """Raise MissingRequirement unless this is root."""
    if os.geteuid() != 0:
        raise MissingRequirement("this needs root: live runs answer to root only")


def of_run(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option that says which live run is meant, as ``run_id``."""
    option = click.option(
        "--run", "run_id", metavar="ID", help="Which run, where several are going on."
    )
    return option(command)


def with_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option to say what it has done as JSON, as ``as_json``."""
    option = click.option(
        "--json", "as_json", is_flag=True, help="Say what was done as JSON on stdout."
    )
    return option(command)


def say(text: str, done: Mapping[str, Any], *, as_json: bool) -> None:
    """Say what was done: ``text`` to people, ``done`` to programs."""
    if as_json:
        print_json(done)
    else:
        click.echo(text)


def print_json(done: Mapping[str, Any]) -> None:
    """Print one object on stdout."""
    click.echo(orjson.dumps(done, option=orjson.OPT_INDENT_2))
