"""What ``crunchbed agree`` found: as tables on a console, and as a page in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.markup import escape

from crunchbed.experiments.agreement.cell import WORDS, Cell, Observed, State
from crunchbed.experiments.agreement.summary import PairSummary, summaries
from crunchbed.report.table import new_table

_COLOURS: Final[dict[State, str]] = {"agree": "green", "disagree": "red", "unknown": "yellow"}
_FIGURES: Final[dict[str, Callable[[Observed], str]]] = {
    "ejected": lambda run: ", ".join(run.ejected) or "-",
    "missed": lambda run: str(run.missed),
    "silence, s": lambda run: seconds(run.silence_seconds),
    "stall, s": lambda run: seconds(run.stall_seconds),
}
"""Columns of a table, and what they show of a run."""


def seconds(value: float | None) -> str:
    """Return seconds with as many digits as matter; ``-`` where nothing was measured."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def verdict(cell: Cell, run: Observed) -> str:
    """Return a run's verdict; ``-`` where nothing is expected that it could fail."""
    return "-" if run.verdict == "pass" and not cell.judged else run.verdict


def print_agreement(console: Console, cells: Sequence[Cell], left_out: Sequence[str]) -> None:
    """Print a row for each run, the disagreements, and what each two backends agree in."""
    left = ("scenario", "policy", "flags", "card", "seed", "backend", "verdict")
    table = new_table(console, left, _FIGURES, overflow="fold")
    for cell in cells:
        what = _words(cell)
        for run in cell.runs:
            figures = (show(run) for show in _FIGURES.values())
            table.add_row(*what, run.backend, verdict(cell, run), *figures)
            what = ("",) * len(what)
        for backend in cell.refused:
            table.add_row(*what, backend, "cannot", *([""] * len(_FIGURES)))
            what = ("",) * len(what)
    console.print(table)
    for line in left_out:
        console.print(f"[yellow]left out[/]  {escape(line)}", soft_wrap=True)
    for cell in cells:
        for backend, why in cell.refused.items():
            console.print(f"{_name(cell)}: {backend} cannot: {escape(why)}", soft_wrap=True)
        for line in _told(cell):
            console.print(
                f"[{_COLOURS[cell.state]}]{cell.state}[/]  {_name(cell)}: {escape(line)}",
                soft_wrap=True,
            )
    for line in summary_lines(cells):
        console.print(line, soft_wrap=True)


def summary_lines(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield a line for all cells, and one for each two backends."""
    states = [cell.state for cell in cells]
    counts = [f"{n} {state}" for state in _COLOURS if (n := states.count(state))]
    yield f"{len(cells)} cells: {', '.join(counts)}"
    for one in summaries(cells):
        apart = [f"{WORDS[figure]} {n}" for figure, n in one.differing.items() if n]
        yield (
            f"{one.other} beside {one.first}: {_of(one.agree, one)} agree, "
            f"{_of(one.same_outcome, one)} in verdict and ejected nodes"
            f"{'; apart in ' * bool(apart)}{', '.join(apart)}"
            f"{f'; {one.unknown} not known' if one.unknown else ''}"
        )


def markdown(cells: Sequence[Cell], left_out: Sequence[str], command: str) -> str:
    """Return the matrix as a page: a row for each scenario, policy, flag setting and card.

    Seeds are separated by commas, backends by ``/``, in the order of the summary.
    """
    return "\n".join(
        [
            *_summary_table(summaries(cells)),
            "",
            *_matrix(cells),
            "",
            *(f"- {_name(cell)}: {'; '.join(lines)}" for cell in cells if (lines := _told(cell))),
            *(f"- left out: {line}" for line in left_out),
            "",
            "```",
            command,
            "```",
            "",
        ]
    )


def _summary_table(found: Sequence[PairSummary]) -> Iterator[str]:
    apart = _cells_of(f"{word} apart" for word in WORDS.values())
    yield f"| | cells | agree | same verdict and ejected | {apart} |"
    yield f"| --- | --- | --- | --- |{' --- |' * len(WORDS)}"
    for one in found:
        apart = _cells_of(str(one.differing[figure]) for figure in WORDS)
        known = f"{one.known} of {one.cells}" if one.unknown else str(one.cells)
        yield (
            f"| {one.other} beside {one.first} | {known} | {_of(one.agree, one)} | "
            f"{_of(one.same_outcome, one)} | {apart} |"
        )


def _matrix(cells: Sequence[Cell]) -> Iterator[str]:
    headings = ("scenario", "policy", "flagged", "card", "seeds", "agree", "verdict", *_FIGURES)
    yield f"| {_cells_of(headings)} |"
    yield f"|{' --- |' * len(headings)}"
    for what, group in groupby(cells, key=lambda cell: _words(cell)[:4]):
        row = list(group)
        seeds = ", ".join(str(cell.seed) for cell in row)
        yield f"| {_cells_of((*what, seeds, _agreeing(row), *_shown(row)))} |"


def _shown(row: Sequence[Cell]) -> Iterator[str]:
    """Yield each figure of a row: all seeds of one backend, then of the next."""
    yield " / ".join(
        _by_backend([[(run, verdict(cell, run)) for run in cell.runs] for cell in row])
    )
    for show in _FIGURES.values():
        yield " / ".join(_by_backend([[(run, show(run)) for run in cell.runs] for cell in row]))


def _by_backend(row: Sequence[Sequence[tuple[Observed, str]]]) -> Iterator[str]:
    told: dict[str, list[str]] = {}
    for cell in row:
        for run, words in cell:
            told.setdefault(run.backend, []).append(words)
    for found in told.values():
        yield found[0] if len(set(found)) == 1 else ", ".join(found)


def _agreeing(row: Sequence[Cell]) -> str:
    """How many of a row's cells agree, for each two backends."""
    told = (
        f"{one.agree} of {one.known}{f', {one.unknown} unknown' if one.unknown else ''}"
        for one in summaries(row)
    )
    return " / ".join(told)


def _told(cell: Cell) -> list[str]:
    """What is to be said of a cell beside its figures."""
    invalid = (run for run in cell.runs if not run.valid)
    apart = (pair for pair in cell.pairs if pair.state == "disagree")
    return [
        *(f"{run.backend} {run.verdict}: {', '.join(run.reasons)}" for run in invalid),
        *(line for pair in apart for line in pair.lines),
    ]


def _of(part: int, one: PairSummary) -> str:
    share = f" ({part / one.known:.0%})" if one.known else ""
    return f"{part} of {one.known}{share}"


def _words(cell: Cell) -> tuple[str, ...]:
    flags = "+".join(cell.flags) or "none"
    return cell.scenario, cell.policy, flags, cell.nic or "", str(cell.seed)


def _name(cell: Cell) -> str:
    *what, seed = (word for word in _words(cell) if word)
    return f"{', '.join(what)}, seed {seed}"


def _cells_of(words: Iterable[str]) -> str:
    return " | ".join(word.replace("|", "\\|") for word in words)
