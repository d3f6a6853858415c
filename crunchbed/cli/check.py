"""``crunchbed check``: what this machine has and lacks."""

from __future__ import annotations

import dataclasses
import platform

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crunchbed.backends.machines import images
from crunchbed.cli.output import print_json
from crunchbed.host.probes.machine import NOT_TRIED
from crunchbed.host.requirements import Finding, probe_all
from reserve_agent.errors import MissingRequirement

PIPED_COLUMNS = 200  # wide enough that no line is folded for grep


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """List what this machine has and lacks, what for, and what brings it.

    Exits with 4 if something required is missing; what is optional only some scenarios need.
    """
    findings = probe_all()
    lacking = [each.name for each in findings if each.required and not each.present]
    if as_json:
        report = {"ok": not lacking, "findings": [dataclasses.asdict(each) for each in findings]}
        print_json(report)
    else:
        _print_table(findings)
        _print_verdict(lacking, findings)
    if lacking:
        context.exit(MissingRequirement.exit_code)


def _state(finding: Finding) -> str:
    if finding.present:
        return "[green]yes[/]"
    if finding.detail == NOT_TRIED.detail:
        return "?"
    return "[red]MISSING[/]" if finding.required else "[yellow]no[/]"


def _print_table(findings: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in (f"Linux {platform.release()}", "here", "needed for", "found"):
        table.add_column(column, overflow="fold")
    for required, heading in ((True, "required"), (False, "optional")):
        table.add_row(f"[bold]{heading}[/]")
        for each in findings:
            if each.required == required:
                found = each.detail if each.present else f"{each.detail}; {each.remedy}"
                table.add_row(each.name, _state(each), each.needed_for, escape(found))
    console = Console()
    if not console.is_terminal:
        console.width = PIPED_COLUMNS
    console.print(table)


def _print_verdict(lacking: list[str], findings: list[Finding]) -> None:
    without = [each.name for each in findings if not each.required and not each.present]
    if "root" in lacking:
        click.echo("missing: root; without it the lines marked ? cannot be tried")
    elif lacking:
        click.echo("missing: " + ", ".join(lacking))
    else:
        rest = (
            f"; not here, and asked for by some scenarios: {', '.join(without)}" if without else ""
        )
        click.echo(f"all that is required is here{rest}")
    if of_machines := [each.name for each in findings if _brought_by_make(each)]:
        click.echo(f"for --backend machines: {images.MAKE} brings {', '.join(of_machines)}")


def _brought_by_make(finding: Finding) -> bool:
    return not finding.present and finding.remedy == images.MAKE
