"""``crunchbed clean``: remove what dead runs have left."""

from __future__ import annotations

import os

import click

from crunchbed.cli.output import print_json
from crunchbed.host import leaks, scratch
from nodes.cgroup import remove_cgroup
from reserve_agent.errors import CrunchbedError, MissingRequirement


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def clean(dry_run: bool, as_json: bool) -> None:
    """Remove what dead runs have left: processes, pins, bridges, links, cgroups, state.

    Also the temporary directories of sweeps and other commands that were killed.

    Live runs, and whatever no run has made, are not touched.
    """
    if os.geteuid() != 0:
        raise MissingRequirement("clean needs root: sudo crunchbed clean")
    dead = leaks.dead_runs()
    outcomes: dict[str, dict[leaks.Leak, str | None]] = {}
    for run_id in dead:
        if dry_run:
            outcomes[run_id] = dict.fromkeys(leaks.find(run_id))
        else:
            outcomes[run_id] = leaks.clean_run(run_id)
    for place in scratch.abandoned():
        leak = leaks.Leak("scratch", str(place))
        outcomes[place.name] = {leak: None if dry_run else leaks.try_remove(leak)}
    for probe in leaks.dead_probes():
        outcomes[probe.name] = {leaks.Leak("cgroup", str(probe)): None}
        if not dry_run:
            remove_cgroup(probe)
    live = sorted(leaks.known_runs() - set(dead))
    if as_json:
        _print_json(dry_run, outcomes, live)
    else:
        _print_text(dry_run, outcomes, live)
    failures = [reason for outcome in outcomes.values() for reason in outcome.values() if reason]
    if failures:
        raise CrunchbedError(f"{len(failures)} left, the first because: {failures[0]}")


def _print_json(
    dry_run: bool, outcomes: dict[str, dict[leaks.Leak, str | None]], live: list[str]
) -> None:
    runs = [
        {
            "id": run_id,
            "traces": [
                {
                    "kind": leak.kind,
                    "name": leak.name,
                    "removed": not dry_run and reason is None,
                    "reason": reason,
                }
                for leak, reason in outcome.items()
            ],
        }
        for run_id, outcome in outcomes.items()
    ]
    print_json({"dry_run": dry_run, "runs": runs, "live": live})


def _print_text(
    dry_run: bool, outcomes: dict[str, dict[leaks.Leak, str | None]], live: list[str]
) -> None:
    verb = "would remove" if dry_run else "removed"
    for run_id, outcome in outcomes.items():
        for leak, reason in outcome.items():
            if reason is None:
                click.echo(f"{run_id}: {verb} {leak.kind} {leak.name}")
            else:
                click.echo(f"{run_id}: left {leak.kind} {leak.name}: {reason}")
    for run_id in live:
        click.echo(f"{run_id}: is live, not touched")
    if not outcomes:
        click.echo("no dead run has left anything")
