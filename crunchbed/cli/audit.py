"""``crunchbed audit``: who may draw on the reserve, and which protocols share its interfaces."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from crunchbed.cli.audit_host import HostOptions, audit_host, host_options
from crunchbed.cli.options import Options, takes
from crunchbed.cli.output import print_json
from crunchbed.live.audit import AuditedNode, AuditedRun, AuditedSocket
from crunchbed.live.gather import audit_live_runs, observe
from crunchbed.report.progress import LineProgress
from crunchbed.report.table import new_table, open_console
from reserve_agent.errors import BadInput, MissingRequirement, RunInvalid

DEFAULT_SECONDS = 3.0
_FOUND = 1
_COLOURS = {"error": "red", "warning": "yellow"}


@click.command()
@click.argument("scenario", required=False)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    help=f"How long to observe the cluster of SCENARIO; {DEFAULT_SECONDS:g} by default.",
)
@host_options
@takes("overrides", "backend", "as_json")
def audit(options: Options, host: HostOptions, scenario: str | None, seconds: float | None) -> int:
    """Say who may draw on the reserve, and which protocols share its interfaces.

    Audits every live run of this machine, since each began. With SCENARIO, starts its cluster
    instead, observes it for some seconds without a fault, and ends it.

    A finding is a protocol that is not vm-aware on an interface that carries block I/O, a
    memalloc socket on which nobody bounds what is in flight, or a socket of block I/O that is
    not memalloc though the policy asks for it. Exits with 1 if there is one, and with 3 if there
    is none but a run could not be audited.

    With --host, asks the same of this machine and its own kernel: which cards draw on the
    reserve, which block devices, mounts and cluster daemons have sockets that may, whether
    vm.min_free_kbytes is enough for them, and what has failed so far. It only reads, needs no
    root, and names each file that it could not read. Exits with 1 if there is an error or a
    warning, with 0 if there are at most notes, and with 4 if there is no /proc or /sys.

    \b
    Examples:
      crunchbed audit
      crunchbed audit control --json
      crunchbed audit writeback-crunch --set memalloc=[heartbeat] --seconds 5
      crunchbed audit --host
      crunchbed audit --host --metrics > /var/lib/node_exporter/crunchbed.prom
    """  # noqa: D301 - \b is click's
    if host.is_asked():
        if scenario is not None or seconds is not None or options.overrides or options.backend:
            raise BadInput("--host audits this machine: no SCENARIO, --seconds, --set or --backend")
        return _FOUND if audit_host(host, as_json=options.as_json) else 0
    return _audit_runs(options, scenario, seconds)


def _audit_runs(options: Options, scenario: str | None, seconds: float | None) -> int:
    if scenario is None:
        runs = _live(seconds, options)
    else:
        chosen = options.scenario(scenario)
        progress = LineProgress(sys.stderr, f"audit {chosen.name}")
        runs = [observe(chosen, seconds or DEFAULT_SECONDS, progress)]
        progress.done()
    if options.as_json:
        print_json({"runs": [_record(run) for run in runs]})
    else:
        console = open_console()
        for run in runs:
            _print_run(console, run)
    if any(run.findings for run in runs):
        return _FOUND
    return RunInvalid.exit_code if any(run.problem for run in runs) else 0


def _live(seconds: float | None, options: Options) -> list[AuditedRun]:
    if seconds is not None or options.overrides or options.backend:
        raise BadInput(
            "--seconds, --set and --backend need a SCENARIO; live runs are audited as they are"
        )
    if os.geteuid() != 0:
        raise MissingRequirement("audit needs root: sudo crunchbed audit")
    runs = audit_live_runs()
    if not runs:
        raise BadInput("no live run to audit; `crunchbed audit SCENARIO` starts a cluster")
    return runs


def _record(run: AuditedRun) -> dict[str, Any]:
    nodes = [_node_record(node) for node in run.nodes]
    return {"run": run.run, "problem": run.problem, "nodes": nodes}


def _node_record(node: AuditedNode) -> dict[str, Any]:
    facts = node.facts
    return {
        "node": node.node,
        "interfaces": facts.interfaces,
        "policy": facts.policy.name.lower(),
        "enforce": facts.enforce,
        "block_io_packets": facts.block_io_packets,
        "protocols": [
            {**asdict(one), "refused": facts.enforce and not one.vm_aware}
            for one in facts.protocols
        ],
        "sockets": [
            {
                **asdict(one.seen),
                "user": None if one.user is None else asdict(one.user),
                "throttled": one.bound is not None,
                "bound": one.bound,
            }
            for one in node.sockets
        ],
        "findings": [asdict(one) for one in node.findings],
    }


def _print_run(console: Console, run: AuditedRun) -> None:
    console.print(f"run {run.run}", style="bold")
    if not run.nodes:
        text = "has no agents yet" if run.problem is None else f"not audited: {run.problem}"
        console.print(escape(text), soft_wrap=True)
        return
    _print_protocols(console, run)
    _print_sockets(console, run)
    for finding in run.findings:
        console.print(
            f"[{_COLOURS[finding.severity]}]{finding.severity}[/]  "
            f"{finding.node}: {escape(finding.text)}",
            soft_wrap=True,
        )
    if not run.findings:
        console.print("[green]no finding[/]")


def _print_protocols(console: Console, run: AuditedRun) -> None:
    headings = ("node", "interface", "protocol", "packets", "vm-aware")
    table = new_table(console, headings, overflow="fold")
    for node in run.nodes:
        interfaces = ", ".join(node.facts.interfaces)
        if not node.facts.block_io_packets:
            interfaces += " (no block I/O)"
        for one in node.facts.protocols:
            aware = "yes" if one.vm_aware else "refused" if node.facts.enforce else "[yellow]NO[/]"
            table.add_row(node.node, escape(interfaces), escape(one.name), str(one.packets), aware)
    console.print(table)


def _print_sockets(console: Console, run: AuditedRun) -> None:
    """Print the sockets that matter to the reserve; JSON has all."""
    headings = ("node", "socket", "class", "memalloc", "throttled")
    table = new_table(console, headings, overflow="fold")
    for node in run.nodes:
        for one in node.sockets:
            if one.seen.memalloc or one.seen.cls == "block-io":
                memalloc = "yes" if one.seen.memalloc else "no"
                cells = (escape(one.label), one.seen.cls, memalloc, _throttled(one))
                table.add_row(node.node, *cells)
    console.print(table)


def _throttled(one: AuditedSocket) -> str:
    if one.bound is not None:
        return escape(one.bound)
    return "[red]NO[/]" if one.seen.memalloc else "-"
