"""``crunchbed levels``: what each level of memory did to a machine, over all boots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import click

from crunchbed.checks.levels import Level
from crunchbed.checks.levels import levels as levels_of
from crunchbed.cli.output import DIRECTORY, json_option, print_json
from crunchbed.report.html import source
from crunchbed.report.table import new_table, open_console
from reserve_agent.errors import BadInput

_WIDEST: Final = 100_000
_Key = TypeVar("_Key", bound=tuple[str, ...])

_LEFT: Final = ("flags", "level", "hears")
_RIGHT: Final = (
    *("heard", "arrived", "writes", "gap ms", "low"),
    *("atomic", "fragment", "memalloc", "drops", "after"),
)


class _Boot(NamedTuple):
    """What decides a window, and the window."""

    kernel: str
    nic: str
    flags: str
    level: Level

    @property
    def shown(self) -> str:
        """The level as the table has it."""
        wanted = self.level.demand
        demand = "" if wanted is None else f" {wanted} pages wanted"
        return f"{self.level.level:.2f}{demand}"


@click.command()
@click.argument("directories", nargs=-1, required=True, type=DIRECTORY)
@json_option
def levels(directories: tuple[Path, ...], as_json: bool) -> None:
    """Print what machines heard, said and wrote while each level of memory was held.

    A row is a level under one flag setting; its figures are those of the runs in DIRECTORIES one
    after the other, such as 15/14/15 of three boots. Levels are fractions of the zone's min
    watermark. Figures come from the recorded histories.

    \b
    Columns:
      hears      all, some or none of the heartbeats that were sent to the machine
      heard      heartbeats that the machine had in time, of those sent to it
      arrived    the machine's own heartbeats that its peers had in time, of those it sent
      writes     acknowledged writes
      gap ms     longest time without an acknowledged write
      low        fewest free pages
      atomic, fragment, memalloc
                 failed requests: GFP_ATOMIC for a page, for several; __GFP_MEMALLOC for a page
      drops, after
                 PFMemallocDrop in the window, and after it

    \b
    Examples:
      crunchbed compare kernel-levels --memalloc none,block-io,heartbeat,both --seeds 1..3
      crunchbed levels runs/*-kernel-levels-*
    """  # noqa: D301 - \b is click's
    boots = [boot for directory in directories for boot in _boots(directory)]
    if not boots:
        raise BadInput(f"{directories[0]}: expected runs whose machines held windows of pressure")
    if as_json:
        print_json([_record(boot) for boot in boots])
        return
    console = open_console()
    if not console.is_terminal:
        console.width = _WIDEST  # a row is a line, for grep and cut
    for machine, rows in _grouped(boots, lambda boot: (boot.nic, boot.kernel)).items():
        console.print(", ".join(machine), style="bold")
        table = new_table(console, _LEFT, _RIGHT)
        for key, levels_ in _grouped(rows, lambda boot: (boot.flags, boot.shown)).items():
            table.add_row(*key, *_cells([boot.level for boot in levels_]))
        console.print(table)


def _boots(directory: Path) -> Iterable[_Boot]:
    runs = [source.read_run(directory)] if source.is_run(directory) else source.read_runs(directory)
    for run in runs:
        flags = ",".join(run.scenario.memalloc) if run.scenario.policy != "none" else ""
        kernel = str((run.info.versions or {}).get("guest kernel", "-"))
        for level in levels_of(run.history):
            yield _Boot(kernel, run.scenario.memory.nic, flags or "none", level)


def _record(boot: _Boot) -> dict[str, Any]:
    found = {"kernel": boot.kernel, "nic": boot.nic, "flags": boot.flags}
    return {**found, **asdict(boot.level), "hears": boot.level.hears}


def _grouped(boots: Iterable[_Boot], key: Callable[[_Boot], _Key]) -> dict[_Key, list[_Boot]]:
    grouped: defaultdict[_Key, list[_Boot]] = defaultdict(list)
    for boot in boots:
        grouped[key(boot)].append(boot)
    return grouped


def _cells(rows: Sequence[Level]) -> list[str]:
    def each(name: str) -> str:
        return _joined(getattr(row, name) for row in rows)

    def of(name: str, whole: str) -> str:
        wholes = dict.fromkeys(getattr(row, whole) for row in rows)
        return f"{each(name)} of {_joined(wholes) if len(wholes) == 1 else each(whole)}"

    gaps = [row.write_gap_seconds for row in rows]
    return [
        "/".join(dict.fromkeys(row.hears for row in rows)),
        *(of("heard", "due"), of("arrived", "sent"), each("writes")),
        _joined("-" if gap is None else round(gap * 1000) for gap in gaps),
        *(each(name) for name in ("low_pages", "failed_atomic", "failed_fragment")),
        *(each(name) for name in ("failed_memalloc", "drops", "late_drops")),
    ]


def _joined(values: Iterable[object]) -> str:
    return "/".join(map(str, values))
