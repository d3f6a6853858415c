"""``crunchbed status``: the state of a live run's nodes."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.table import Table

from crunchbed.cli.live_run import chosen_run, of_run
from crunchbed.live import runs
from crunchbed.live.summary import NodeSummary, RunSummary, read_summary
from crunchbed.report.table import new_table, open_console
from reserve_agent.errors import CrunchbedError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout; with --watch lines.")
@click.option("--watch", is_flag=True, help="Again and again until Ctrl-C or the run's end.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: time from one to the next.",
)
@of_run
def status(as_json: bool, watch: bool, every: float, run_id: str | None) -> None:
    """Say how the nodes of a live run are: power, link, memory, heartbeats, membership.

    Any live run can be looked at; one that `crunchbed up` holds open tells more.

    \b
    Examples:
      crunchbed status
      crunchbed status --watch --every 0.5
      crunchbed status --json | jq .nodes.n1.free_pages
    """  # noqa: D301 - \b is click's
    run = chosen_run(run_id)
    console = open_console()
    _show(console, read_summary(run), as_json, watch)
    while watch:
        time.sleep(every)
        state = _state_of(run)
        if run not in runs.live_runs():
            click.echo(f"run {run} has ended", err=True)
            return
        if state is not None:
            _show(console, state, as_json, watch)


def _state_of(run: str) -> RunSummary | None:
    """Return a run's state; None where it no longer answers because it ends, or has ended."""
    try:
        return read_summary(run)
    except CrunchbedError:
        if runs.is_held(run):
            raise
        return None


def _show(console: Console, state: RunSummary, as_json: bool, watch: bool) -> None:
    if as_json:
        click.echo(state.model_dump_json(indent=None if watch else 2))
        return
    if watch and console.is_terminal:
        console.clear()
    console.print(_title(state), style="bold", soft_wrap=True)
    console.print(_table(console, state))


def _title(state: RunSummary) -> str:
    words = [f"run {state.run}: {state.scenario}"]
    if state.held:
        words.append(f"held open for {state.seconds or 0:.0f} s, phase {state.phase}")
        words.append(f"switch {state.switch}")
        if state.storage_link != "up":
            words.append(f"link of storage {state.storage_link}")
    return ", ".join(words)


def _table(console: Console, state: RunSummary) -> Table:
    left = ("node", "power", "link", "policy", "pressure")
    right = ("free", "reserve", "dirty", "lowest", "misses", "boots")
    table = new_table(console, left, right, no_wrap=True)
    table.add_column("view", no_wrap=True)
    for name, node in state.nodes.items():
        table.add_row(*_row(name, node))
    return table


def _row(name: str, node: NodeSummary) -> list[str]:
    power = "-" if node.up is None else "up" if node.up else "off"
    if not node.agent:
        cells = ["no agent", *["-"] * 5, "-"]
    else:
        pressed = "yes" if node.pressure else "no"
        if node.crunch is not None:
            pressed += f" ({node.crunch})"
        pages = (node.free_pages, node.reserve_pages, node.dirty_pages, node.low_water_pages)
        cells = [node.policy or "-", pressed, *(str(one) for one in pages), str(node.misses)]
    view = " ".join(node.view) or "nobody"
    serving = " (serves)" if node.serving else ""
    return [name, power, node.link or "-", *cells, str(node.boots), view + serving]
