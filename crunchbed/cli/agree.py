"""``crunchbed agree``: the same scenarios on two backends, held against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape

from crunchbed.backends import backend_of
from crunchbed.checks.result import EXIT_CODES
from crunchbed.cli.names import compared, names_of, seed_range
from crunchbed.cli.options import DEFAULT_PARENT
from crunchbed.cli.output import DIRECTORY, json_option, print_json
from crunchbed.experiments import matrix
from crunchbed.experiments.agreement import Cell, Observed, observed, share_of_agreement
from crunchbed.experiments.attempts import attempt
from crunchbed.report.html import source
from crunchbed.report.table import new_table, open_console
from crunchbed.run.signals import ended_by_signals
from crunchbed.scenario.cluster import BACKENDS
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.section import CARDS
from reserve_agent.contract.packets import POLICIES
from reserve_agent.errors import BadInput
from reserve_agent.files import write_json

_OWN: Final = "own"
_COLOURS: Final = {"agree": "green", "disagree": "red", "unknown": "yellow"}
_RECORD: Final = "agreement.json"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One cell before it is run: a scenario with its policy, flags and card, and a seed."""

    name: str
    scenario: Scenario
    seed: int

    @property
    def place(self) -> Path:
        """The cell's directory in that of all cells."""
        scenario = self.scenario
        flags = "+".join(scenario.memalloc) or "none"
        return Path(self.name, f"{scenario.policy}-{flags}-{scenario.memory.nic}-{self.seed}")


@click.command()
@click.argument("scenarios", nargs=-1, required=True)
@click.option(
    "--backends",
    metavar="B,B",
    default="machines,namespaces",
    show_default=True,
    help=f"Two or more of {', '.join(BACKENDS)}.",
)
@click.option(
    "--policies",
    metavar="P,P",
    show_default="each scenario's own and those that it expects something of",
    help=f"Policies to run, out of {', '.join(POLICIES)}.",
)
@click.option(
    "--memalloc",
    metavar="F,F",
    default=_OWN,
    show_default="each scenario's own",
    help=f"Flag settings to run, out of {', '.join(matrix.SETTINGS)}.",
)
@click.option(
    "--nics",
    metavar="N,N",
    default=_OWN,
    show_default="each scenario's own",
    help=f"Cards to run, out of {', '.join(CARDS)}.",
)
@click.option("--seeds", metavar="A..B", default="1", show_default=True, help="Seeds of the runs.")
@click.option(
    "--out",
    type=DIRECTORY,
    default=DEFAULT_PARENT / "agree",
    show_default=True,
    help="Directory of the runs; those that it has already are not made again.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
@json_option
def agree(
    scenarios: tuple[str, ...],
    backends: str,
    policies: str | None,
    memalloc: str,
    nics: str,
    seeds: str,
    out: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run SCENARIOS on several backends with the same seeds, and say where they disagree.

    A cell is a scenario under one policy, flag setting, card and seed. Two runs of a cell agree
    where verdict and ejected nodes are equal, the longest silence and the longest stall are within
    a factor of two, and each cause has as many missed heartbeats, give or take 15 %. Exit code 1
    says that some cell disagrees, 3 that some cell is not known. A command that was ended goes on
    where it was.

    \b
    Examples:
      crunchbed agree kernel-writeback kernel-levels --seeds 1..2
      crunchbed agree writeback-crunch --memalloc none,block-io,heartbeat,both \\
          --nics e1000,vmxnet3 --policies memalloc --seeds 1..2 --out runs/fidelity
    """  # noqa: D301 - \b is click's
    chosen = names_of(backends, BACKENDS, "backend")
    if len(chosen) < 2:
        raise BadInput(f"--backends: expected two or more, got {backends}")
    asked = list(_asked(scenarios, policies, memalloc, nics, seed_range(seeds, 1, 1)))
    cells = _run_all(asked, chosen, out, quiet=quiet)
    if as_json:
        print_json([_record(cell) for cell in cells])
    else:
        _print(cells)
        click.echo(f"run directories: {out}")
    return _exit_code(cells)


def _run_all(
    asked: Sequence[_Asked], backends: Sequence[str], out: Path, *, quiet: bool
) -> list[Cell]:
    """Make all cells; what is known so far is in the directory after each."""
    out.mkdir(parents=True, exist_ok=True)
    cells: list[Cell] = []
    with ended_by_signals():
        for cell in asked:
            cells.append(_run(cell, backends, out, quiet=quiet))
            write_json(out / _RECORD, [_record(one) for one in cells])
    return cells


def _asked(
    names: Sequence[str], policies: str | None, memalloc: str, nics: str, seeds: range
) -> Iterator[_Asked]:
    """Yield all cells; BadInput, before any run, for a word that is unknown."""
    settings = (
        [] if memalloc == _OWN else names_of(memalloc, tuple(matrix.SETTINGS), "flag setting")
    )
    cards = [] if nics == _OWN else names_of(nics, CARDS, "card")
    for name in names:
        scenario = load(name)
        for policy in compared(scenario, policies):
            for setting in settings or [_OWN]:
                for card in cards or [scenario.memory.nic]:
                    changes: dict[str, Any] = {"policy": policy, "memory.nic": card}
                    if setting != _OWN:
                        # What the scenario expects holds for its own setting alone.
                        changes |= {**matrix.flags_of(setting), "expect": []}
                    changed = scenario.with_overrides(changes)
                    yield from (_Asked(scenario.name, changed, seed) for seed in seeds)


def _run(asked: _Asked, backends: Sequence[str], out: Path, *, quiet: bool) -> Cell:
    """Make the runs of a cell that are not there yet, and hold them against each other."""
    runs, refused = [], {}
    for name in backends:
        scenario = asked.scenario.with_overrides({"cluster.backend": name})
        lines = backend_of(scenario).refuses(scenario, hold=False)
        if lines:
            refused[name] = "; ".join(lines)
        else:
            runs.append(_observe(name, scenario, asked.seed, out / asked.place / name, quiet=quiet))
    scenario = asked.scenario
    return Cell(
        scenario=asked.name,
        policy=scenario.policy,
        flags=scenario.memalloc,
        nic=scenario.memory.nic,
        seed=asked.seed,
        runs=tuple(runs),
        refused=refused,
        interval_seconds=scenario.heartbeat.interval / 1e9,
    )


def _observe(backend: str, scenario: Scenario, seed: int, place: Path, *, quiet: bool) -> Observed:
    if not (place / "result.json").exists():
        if place.exists():
            place.rename(_free(place))
        result = attempt(scenario, seed, place, quiet=quiet)
        if not (place / source.HISTORY).exists():
            return Observed(backend=backend, verdict=result.verdict, reasons=result.reasons)
    run = source.read_run(place)
    return observed(backend, run.history, run.scenario, run.result)


def _free(place: Path) -> Path:
    """Return a name for a run that was ended before it had a result."""
    names = (place.with_name(f"{place.name}-ended-{number}") for number in range(1, 1000))
    return next(name for name in names if not name.exists())


def _record(cell: Cell) -> dict[str, Any]:
    found = {"state": cell.state, "differences": cell.differences}
    return {**cell.model_dump(mode="json"), **found}


def _exit_code(cells: Sequence[Cell]) -> int:
    states = {cell.state for cell in cells}
    if "disagree" in states:
        return EXIT_CODES["fail"]
    return EXIT_CODES["unknown" if "unknown" in states else "pass"]


def _print(cells: Sequence[Cell]) -> None:
    console = open_console()
    left = ("scenario", "policy", "flags", "card", "seed", "backend", "verdict", "ejected")
    table = new_table(console, left, ("missed", "silence s", "stall s"), overflow="fold")
    for cell in cells:
        flags = "+".join(cell.flags)
        what: tuple[str, ...] = (cell.scenario, cell.policy, flags, cell.nic, str(cell.seed))
        for run in cell.runs:
            stall = "-" if run.stall_seconds is None else f"{run.stall_seconds:.2f}"
            who = ", ".join(run.ejected) or "-"
            figures = (str(sum(run.misses.values())), f"{run.silence_seconds:.2f}", stall)
            table.add_row(*what, run.backend, run.verdict, who, *figures)
            what = ("",) * len(what)
        for backend, why in cell.refused.items():
            table.add_row(*what, backend, "cannot", *([""] * 4))
            console.print(f"{cell.scenario}: {backend} cannot: {escape(why)}", soft_wrap=True)
        for line in cell.differences if cell.state == "disagree" else ():
            name = f"{cell.scenario}, {cell.policy}, {'+'.join(cell.flags)}, seed {cell.seed}"
            console.print(f"[red]disagree[/]  {name}: {escape(line)}", soft_wrap=True)
    console.print(table)
    counts = [f"{n} {state}" for state in _COLOURS if (n := _count(cells, state))]
    share = share_of_agreement(cells)
    shown = "" if share is None else f"; {share:.0%} of those that are known agree"
    console.print(f"{len(cells)} cells: {', '.join(counts)}{shown}")


def _count(cells: Sequence[Cell], state: str) -> int:
    return sum(cell.state == state for cell in cells)
