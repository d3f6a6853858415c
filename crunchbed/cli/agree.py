"""``crunchbed agree``: the same scenarios on two or more backends, held against each other."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click

from crunchbed.backends import backend_of
from crunchbed.checks.result import EXIT_CODES
from crunchbed.cli.names import compared, names_of, seed_range
from crunchbed.cli.options import DEFAULT_PARENT, Options, bundled, can_be_made, takes
from crunchbed.cli.output import DIRECTORY, FILE, print_json
from crunchbed.experiments import matrix
from crunchbed.experiments.agreement.asked import OWN, Asked, Column, Request, columns_of
from crunchbed.experiments.agreement.cell import Cell
from crunchbed.experiments.agreement.runs import Runs
from crunchbed.experiments.agreement.summary import summaries
from crunchbed.host.requirements import missing
from crunchbed.report.agreement import markdown, print_agreement
from crunchbed.report.agreement_progress import AgreementProgress
from crunchbed.report.table import open_console
from crunchbed.run.signals import ended_by_signals
from crunchbed.scenario.cluster import BACKENDS
from crunchbed.scenario.loader import load
from crunchbed.scenario.section import CARDS
from reserve_agent.contract.packets import POLICIES
from reserve_agent.errors import BadInput, MissingRequirement
from reserve_agent.files import write_bytes, write_json

_RECORD: Final = "agreement.json"
_CHEAP: Final = ("namespaces", "simulation")
"""Backends that are taken where none is named: a cell on machines takes about a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """What is run, as the command line has it."""

    backends: str | None
    models: str
    policies: str | None
    memalloc: str
    nics: str
    seeds: str
    again: str | None
    recorded: str | None
    out: Path
    markdown: Path | None

    def request(self, names: tuple[str, ...], options: Options) -> Request:
        """Return the cells that are asked for; BadInput for a word that is unknown."""
        backends = _cheap() if self.backends is None else _backends(self.backends)
        columns = columns_of(backends, [one.strip() for one in self.models.split(",")])
        if len(columns) < 2:
            raise BadInput(f"--backends: expected two or more, got {', '.join(backends)}")
        settings, cards = self.memalloc, self.nics
        known = tuple(matrix.SETTINGS)
        return Request(
            names=names,
            columns=columns,
            overrides=options.changes,
            policies=partial(compared, policies=self.policies),
            settings=() if settings == OWN else names_of(settings, known, "flag setting"),
            cards=() if cards == OWN else names_of(cards, CARDS, "card"),
            seeds=seed_range(self.seeds, 1, 1),
        )

    def runs(self, columns: Sequence[Column], *, quiet: bool) -> Runs:
        """Return where the runs are, and which of them are made."""
        return Runs(
            out=self.out,
            columns=columns,
            again=frozenset(_backends(self.again)),
            recorded=frozenset(_backends(self.recorded)),
            quiet=quiet,
        )


_MATRIX: Final = {
    "backends": click.option(
        "--backends",
        metavar="B,B",
        show_default=f"those of {' and '.join(_CHEAP)} that this machine can run",
        help=f"Two or more of {', '.join(BACKENDS)}; all are held against the first.",
    ),
    "models": click.option(
        "--models",
        metavar="M,M",
        default=OWN,
        show_default=True,
        help="Kernel profiles by which memory is modelled, side by side: own is each scenario's. "
        "Machines are run once.",
    ),
    "policies": click.option(
        "--policies",
        metavar="P,P",
        show_default="each scenario's own and those that it expects something of",
        help=f"Policies to run, out of {', '.join(POLICIES)}.",
    ),
    "memalloc": click.option(
        "--memalloc",
        metavar="F,F",
        default=OWN,
        show_default="each scenario's own",
        help=f"Flag settings to run, out of {', '.join(matrix.SETTINGS)}.",
    ),
    "nics": click.option(
        "--nics",
        metavar="N,N",
        default=OWN,
        show_default="each scenario's own",
        help=f"Cards to run, out of {', '.join(CARDS)}.",
    ),
    "seeds": click.option(
        "--seeds", metavar="A..B", default="1", show_default=True, help="Seeds of the runs."
    ),
    "again": click.option(
        "--again", metavar="B,B", help="Backends whose runs in --out are thrown away and made anew."
    ),
    "recorded": click.option(
        "--recorded",
        metavar="B,B",
        help="Backends on which nothing is run: only their runs in --out are taken.",
    ),
    "out": click.option(
        "--out",
        type=DIRECTORY,
        default=DEFAULT_PARENT / "agree",
        show_default=True,
        help="Directory of the runs; those that it has already are not made again.",
    ),
    "markdown": click.option(
        "--markdown",
        type=FILE,
        callback=can_be_made,
        metavar="FILE",
        help="Write the matrix as a page in Markdown.",
    ),
}


@click.command()
@click.argument("scenarios", nargs=-1)
@bundled("wanted", Matrix, _MATRIX)
@takes("overrides", "quiet", "as_json")
def agree(scenarios: tuple[str, ...], wanted: Matrix, options: Options) -> int:
    """Run SCENARIOS on several backends with the same seeds, and say where they disagree.

    Without SCENARIOS: all shipped ones that two of the backends can run; the others are listed. A
    cell is a scenario under one policy, flag setting, card and seed. Two runs of it agree where
    verdict and ejected nodes are equal; longest silence, longest stall and number of misses within
    a factor of two; and the shares of the misses' causes within 15 %. With other flags than a
    scenario's own nothing of its claim is judged, only figures are compared. Exit code 1: a cell
    disagrees, 3: one is not known. A command that was ended goes on where it was, and makes
    invalid runs again.

    \b
    Examples:
      crunchbed agree --seeds 1..5
      crunchbed agree kernel-writeback --backends machines,simulation --policies memalloc \\
          --memalloc none,block-io,heartbeat,both --nics e1000,vmxnet3 --out runs/fidelity
      crunchbed agree kernel-writeback --backends machines,simulation --recorded machines \\
          --models own,proposal-2005 --markdown matrix.md --out runs/fidelity
    """  # noqa: D301 - \b is click's
    request = wanted.request(scenarios, options)
    asked, left_out = request.cells()
    runs = wanted.runs(request.columns, quiet=options.quiet)
    there = [one for one in asked if runs.can_compare(one)]
    if not there:
        raise BadInput(f"--recorded {wanted.recorded}: {wanted.out} has no run of these cells")
    if absent := len(asked) - len(there):
        left_out.append(f"{absent} cells that are not recorded in {wanted.out}")
    cells = _run_all(there, runs, left_out)
    _tell(cells, left_out, wanted, options)
    return _exit_code(cells)


def _tell(cells: Sequence[Cell], left_out: Sequence[str], wanted: Matrix, options: Options) -> None:
    """Write and print what was found."""
    if wanted.markdown is not None:
        command = shlex.join(("crunchbed", *sys.argv[1:]))
        write_bytes(wanted.markdown, markdown(cells, left_out, command).encode())
    if options.as_json:
        print_json(_record(cells, left_out))
    else:
        print_agreement(open_console(), cells, left_out)
        click.echo(f"run directories: {wanted.out}")


def _cheap() -> list[str]:
    """Return the backends that are taken where none is named."""
    control = load("control")
    lacking = {}
    for name in _CHEAP:
        scenario = control.with_overrides({"cluster.backend": name})
        lacking[name] = missing(backend_of(scenario).requirements(scenario))
    here = [name for name in _CHEAP if not lacking[name]]
    if len(here) < 2:
        why = "; ".join(
            f"{name}: {', '.join(one.name for one in found)}"
            for name, found in lacking.items()
            if found
        )
        raise MissingRequirement(f"this machine lacks for {why}; see crunchbed check")
    return here


def _backends(text: str | None) -> list[str]:
    return [] if text is None else names_of(text, BACKENDS, "backend")


def _run_all(asked: Sequence[Asked], runs: Runs, left_out: Sequence[str]) -> list[Cell]:
    """Make all cells; what is known so far is in the directory after each."""
    runs.out.mkdir(parents=True, exist_ok=True)
    to_make = [(one, column) for one in asked for column in runs.to_make(one)]
    progress = AgreementProgress(len(asked), to_make, None if runs.quiet else sys.stderr)
    cells: list[Cell] = []
    with ended_by_signals():
        for one in asked:
            cells.append(runs.cell(one, progress))
            progress.finished(cells[-1])
            write_json(runs.out / _RECORD, _record(cells, left_out))
    return cells


def _record(cells: Sequence[Cell], left_out: Sequence[str]) -> dict[str, object]:
    """Return all that is known, as JSON has it."""
    return {
        "pairs": [one.model_dump(mode="json") for one in summaries(cells)],
        "cells": [
            {
                **cell.model_dump(mode="json"),
                "state": cell.state,
                "differences": list(cell.differences),
            }
            for cell in cells
        ],
        "left_out": list(left_out),
    }


def _exit_code(cells: Sequence[Cell]) -> int:
    states = {cell.state for cell in cells}
    if "disagree" in states:
        return EXIT_CODES["fail"]
    return EXIT_CODES["unknown" if "unknown" in states else "pass"]
