"""``crunchbed list``: the shipped scenarios and what each claims."""

from __future__ import annotations

import click
import orjson
from rich.table import Table

from crunchbed.report.table import open_console
from crunchbed.scenario.loader import load_file, shipped


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_scenarios(as_json: bool) -> None:
    """List the shipped scenarios, each with the claim that a run of it tests."""
    scenarios = [load_file(path) for path in shipped().values()]
    if as_json:
        claims = [{"name": one.name, "claim": one.claim} for one in scenarios]
        click.echo(orjson.dumps(claims, option=orjson.OPT_INDENT_2).decode())
        return
    console = open_console()
    if not console.is_terminal:  # one line each, for grep
        for one in scenarios:
            click.echo(f"{one.name:<20} {one.claim}")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in scenarios:
        table.add_row(one.name, one.claim)
    console.print(table)
