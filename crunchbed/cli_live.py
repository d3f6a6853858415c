"""What the commands on a live run share: who may give them, and which run is meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

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
