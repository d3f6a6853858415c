"""``crunchbed list``: the shipped scenarios and what each claims."""

from __future__ import annotations

import click
from rich.table import Table

from crunchbed.cli.output import print_json
from crunchbed.report.table import open_console
from crunchbed.scenario.loader import load_file, shipped
from reserve_agent.errors import CrunchbedError


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_scenarios(as_json: bool) -> None:
    """List the shipped scenarios, each with the claim that a run of it tests.

    With --json each has its source as well. To begin one of your own: crunchbed new.
    """
    scenarios = [load_file(path) for path in shipped().values()]
    if not scenarios:
        raise CrunchbedError("the shipped scenarios are not installed; a run takes any .yaml file")
    if as_json:
        claims = [{"name": one.name, "claim": one.claim, "source": one.source} for one in scenarios]
        print_json(claims)
        return
    console = open_console()
    if not console.is_terminal:  # one line each, for grep
        width = max(len(one.name) for one in scenarios)
        for one in scenarios:
            click.echo(f"{one.name:<{width}} {one.claim}")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in scenarios:
        table.add_row(one.name, one.claim)
    console.print(table)
