"""Which live run a command is for."""

from __future__ import annotations

import os
from typing import Final

import click

from crunchbed.live import runs
from reserve_agent.errors import MissingRequirement

of_run: Final = click.option(
    "--run", "run_id", metavar="ID", help="Which run, where several are going on."
)


def chosen_run(run_id: str | None) -> str:
    """Return the id of the live run that is meant: the one named, or the only one.

    MissingRequirement: not root, to whom alone live runs answer. BadInput: no such run, or several.
    """
    if os.geteuid() != 0:
        raise MissingRequirement("this needs root: live runs answer to root only")
    return runs.choose_run(run_id)
