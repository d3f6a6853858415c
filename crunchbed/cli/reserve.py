"""``crunchbed reserve size``: the arithmetic of a scenario's reserve."""

from __future__ import annotations

import click
import orjson
from rich.table import Table

from crunchbed.report.table import open_console
from crunchbed.run import sizing
from crunchbed.scenario.loader import load
from reserve_agent.contract.packets import PAGE_BYTES


@click.group()
def reserve() -> None:
    """Size a receive reserve."""


@reserve.command()
@click.argument("scenario")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def size(scenario: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show how many pages each node of SCENARIO needs in reserve, term by term.

    \b
    Examples:
      crunchbed reserve size writeback-crunch
      crunchbed reserve size writeback-crunch --set block_io.queue_depth=64
    """  # noqa: D301 - \b is click's
    pairs = dict(override.partition("=")[::2] for override in overrides)
    chosen = load(scenario).with_overrides(pairs)
    terms = sizing.size(chosen)
    total = sum(term.pages for term in terms)
    given = sizing.reserve_pages(chosen)
    if as_json:
        rows = [{"term": term.text, "pages": term.pages} for term in terms]
        record = {"terms": rows, "computed_pages": total, "reserve_pages": given}
        click.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode())
        return
    console = open_console()
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for term in terms:
        table.add_row(term.text, f"{term.pages} pages")
    table.add_row("computed reserve", f"{total} pages = {total * PAGE_BYTES // 1024} KiB")
    table.add_row("this scenario's reserve", f"{given} pages")
    console.print(table)
    shortage = sizing.shortage(chosen)
    if shortage:
        console.print(f"too small: {shortage}")
