"""``crunchbed reserve size``: the arithmetic of a scenario's reserve."""

from __future__ import annotations

import click
from rich.table import Table

from crunchbed.cli.options import Options, takes
from crunchbed.cli.output import print_json
from crunchbed.report.table import open_console
from crunchbed.scenario import sizing
from reserve_agent.contract.packets import PAGE_BYTES
from reserve_agent.model.profiles.record import written


@click.group()
def reserve() -> None:
    """Size a receive reserve."""


@reserve.command()
@click.argument("scenario")
@takes("overrides", "as_json")
def size(options: Options, scenario: str) -> None:
    """Show how many pages each node of SCENARIO needs in reserve, term by term.

    \b
    Examples:
      crunchbed reserve size writeback-crunch
      crunchbed reserve size writeback-crunch --set block_io.queue_depth=64
    """  # noqa: D301 - \b is click's
    chosen = options.scenario(scenario)
    terms = sizing.size(chosen)
    alone, kernel = sum(term.pages for term in terms), sizing.kernel(chosen)
    total = sizing.needed_reserve(chosen)
    given = sizing.reserve_pages(chosen)
    if options.as_json:
        rows = [{"term": term.text, "pages": term.pages} for term in terms]
        of = {"needed_pages": alone, "reserved_share": written(kernel.reserved)}
        print_json({"terms": rows, **of, "computed_pages": total, "reserve_pages": given})
        return
    console = open_console()
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for term in terms:
        table.add_row(term.text, f"{term.pages} pages")
    if total != alone:
        share = written(kernel.reserved)
        table.add_row("for memalloc sockets alone", f"{alone} pages")
        table.add_row(f"which {kernel.name} leaves to them below {share} of its min watermark", "")
    table.add_row("computed reserve", f"{total} pages = {total * PAGE_BYTES // 1024} KiB")
    table.add_row("this scenario's reserve", f"{given} pages")
    console.print(table)
    shortage = sizing.shortage(chosen)
    if shortage:
        console.print(f"too small: {shortage}")
