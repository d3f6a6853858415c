"""``crunchbed audit --host``: what this machine risks when its memory is short."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from crunchbed.cli.options import bundled
from crunchbed.cli.output import DIRECTORY, print_json
from crunchbed.host.survey.survey import survey
from crunchbed.report import host_audit
from crunchbed.report.table import open_console
from crunchbed.risk.findings import findings_of
from crunchbed.risk.need import need_of
from reserve_agent.errors import BadInput


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What the options of this audit say."""

    host: bool
    root: Path | None
    as_metrics: bool

    def is_asked(self) -> bool:
        """Return whether this machine is meant; BadInput for options that need ``--host``."""
        if not self.host and (self.root is not None or self.as_metrics):
            raise BadInput("--root and --metrics need --host")
        return self.host


host_options: Final = bundled(
    "host",
    HostOptions,
    {
        "host": click.option("--host", is_flag=True, help="Audit this machine instead of runs."),
        "root": click.option(
            "--root",
            type=DIRECTORY,
            help="With --host: a directory with /proc and /sys of another machine.",
        ),
        "as_metrics": click.option(
            "--metrics",
            "as_metrics",
            is_flag=True,
            help="With --host: print metrics, for Prometheus' textfile collector.",
        ),
    },
)


def audit_host(host: HostOptions, *, as_json: bool) -> bool:
    """Look at a machine and print what was found; return whether it is at risk.

    Raises:
        BadInput: The root is no directory, or two forms of output are asked for.
        MissingRequirement: There is no /proc or /sys to look at.
    """
    if as_json and host.as_metrics:
        raise BadInput("--json and --metrics: expected one of them")
    machine = survey(host.root or Path("/"))
    need, findings = need_of(machine), findings_of(machine)
    if as_json:
        print_json(host_audit.record(machine, need, findings))
    elif host.as_metrics:
        click.echo(host_audit.metrics(machine, need, findings).text(), nl=False)
    else:
        host_audit.print_machine(open_console(), machine, need, findings)
    return any(one.is_risk for one in findings)
