"""``crunchbed run`` and ``crunchbed compare``."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from crunchbed.attempts import attempt, execute
from crunchbed.checks.result import Result
from crunchbed.cli_matrix import run_matrix, show_matrix
from crunchbed.comparison import Comparison
from crunchbed.comparison import compare as compare_runs
from crunchbed.history import History
from crunchbed.matrix import SETTINGS
from crunchbed.report.table import open_console, print_comparison, print_run
from crunchbed.scenario.kinds import did_you_mean
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.policies import MEMALLOC_CLASSES, POLICIES

DEFAULT_PARENT = Path("runs")


def _can_be_made(
    _context: click.Context, _option: click.Parameter, path: Path | None
) -> Path | None:
    """Find out before the run rather than after it."""
    if path is not None:
        nearest = next(parent for parent in path.absolute().parents if parent.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            raise BadInput(f"--png {path}: cannot write in {nearest}")
    return path


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."),
        click.option(
            "--set",
            "overrides",
            metavar="KEY=VALUE",
            multiple=True,
            help="Change a key of the scenario, such as crunch.pages=9000; may be repeated.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            help="Directory to make; by default one under runs/.",
        ),
        click.option(
            "--png",
            type=click.Path(path_type=Path, dir_okay=False),
            callback=_can_be_made,
            metavar="FILE",
            help="Draw the crunched node through time, a row for each policy; first seed only.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0, 2**31 - 1),
            default=1,
            show_default=True,
            help="Decides what the scenario leaves to chance: when, and on which node.",
        ),
        click.option(
            "--memalloc",
            metavar="CLASSES",
            help=f"Classes whose sockets are memalloc: {','.join(MEMALLOC_CLASSES)}, or none.",
        ),
        click.argument("scenario"),
    ):
        command = decorate(command)
    return command


@click.command()
@_common
@click.option("--policy", metavar="POLICY", help=f"One of {', '.join(POLICIES)}.")
def run(
    scenario: str,
    memalloc: str | None,
    seed: int,
    out: Path | None,
    png: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    policy: str | None,
) -> int:
    """Run SCENARIO once, a shipped name or a YAML file, and judge it.

    \b
    Examples:
      crunchbed run control
      crunchbed run writeback-crunch --policy none --seed 3
      crunchbed run writeback-crunch --memalloc block-io --json > result.json
      crunchbed run long-crunch --set crunch.length=800ms --set crunch.depth=1
    """  # noqa: D301 - \b is click's
    chosen = _chosen(scenario, overrides, memalloc)
    if policy is not None:
        if "," in policy:
            raise BadInput(f"--policy: expected one, got {policy}; several: crunchbed compare")
        chosen = _with_policies(chosen, policy)[0]
    directory = _directory(out, f"{chosen.name}-{chosen.policy}-{seed}")
    result = execute(chosen, seed, directory)
    if as_json:
        _print_json(result.model_dump(mode="json"))
    else:
        print_run(open_console(), result, chosen)
        click.echo(f"run directory: {directory}")
    _draw(png, chosen, seed, [(result, directory)], quiet=as_json)
    return result.exit_code


@click.command()
@_common
@click.option(
    "--policies",
    metavar="P,P",
    default="none,memalloc",
    show_default=True,
    help=f"Policies to run, out of {', '.join(POLICIES)}.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Runs of each policy, on consecutive seeds; every policy gets the same ones.",
)
def compare(
    scenario: str,
    memalloc: str | None,
    seed: int,
    out: Path | None,
    png: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    policies: str,
    repeats: int,
) -> int:
    """Run SCENARIO under several policies and hold the runs against each other.

    \b
    Examples:
      crunchbed compare writeback-crunch
      crunchbed compare writeback-crunch --policies none,memalloc --repeats 10
      crunchbed compare micro-crunch --set crunch.length=5ms --png micro.png
      crunchbed compare writeback-crunch --policies none,softnet,memalloc,mempool,critical \\
          --memalloc none,block-io,heartbeat,both --repeats 5
                                          every policy with every flag setting
    """  # noqa: D301 - \b is click's
    settings = _settings(memalloc)
    if len(settings) > 1:
        chosen = _chosen(scenario, overrides, None)
        parent = _directory(out, f"{chosen.name}-matrix-{seed}")
        names = _names(policies, POLICIES, "policy")
        cells = run_matrix(chosen, names, settings, range(seed, seed + repeats), parent)
        return show_matrix(cells, chosen.name, parent, as_json=as_json)
    chosen = _chosen(scenario, overrides, None)
    if settings:
        chosen = chosen.with_overrides({"memalloc": list(SETTINGS[settings[0]])})
    variants = _with_policies(chosen, policies)
    parent = _directory(out, f"{chosen.name}-compare-{seed}")
    # All policies on the first seed, then all on the next.
    places = [
        (variant, number, parent / f"{variant.policy}-{number}")
        for number in range(seed, seed + repeats)
        for variant in variants
    ]
    made = [attempt(*place) for place in places]
    results = [result for result, _ in made]
    comparison = compare_runs(chosen, results)
    record = _record(comparison, parent / "comparison.json")
    if as_json:
        _print_json(record)
    else:
        print_comparison(open_console(), comparison, chosen)
        click.echo(f"run directories: {parent}")
    _draw(png, chosen, seed, made[: len(variants)], quiet=as_json)
    return comparison.exit_code


def _settings(text: str | None) -> list[str]:
    """The flag settings of a comparison: each item is one of ``SETTINGS``."""
    return [] if text is None else _names(text, tuple(SETTINGS), "flag setting")


def _chosen(name: str, overrides: Iterable[str], memalloc: str | None) -> Scenario:
    settings: dict[str, object] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not key or not equals:
            raise BadInput(f"--set: expected KEY=VALUE, got {override!r}")
        settings[key] = value
    if memalloc is not None:
        settings["memalloc"] = (
            [] if memalloc == "none" else _names(memalloc, MEMALLOC_CLASSES, "memalloc class")
        )
    return load(name).with_overrides(settings)


def _with_policies(scenario: Scenario, names: str) -> list[Scenario]:
    return [scenario.with_overrides({"policy": name}) for name in _names(names, POLICIES, "policy")]


def _names(text: str, known: tuple[str, ...], what: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise BadInput(f"unknown {what} {name!r}{hint}; known: {', '.join(known)}")
    if len(set(names)) != len(names):
        raise BadInput(f"expected each {what} once, got {text}")
    return names


def _directory(out: Path | None, name: str) -> Path:
    """Return a directory that is not there yet, or is empty."""
    if out is None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        return DEFAULT_PARENT / f"{stamp}-{name}-{secrets.token_hex(2)}"
    if out.is_dir() and any(out.iterdir()):
        raise BadInput(f"--out {out}: expected a new or empty directory")
    return out


def _draw(
    png: Path | None,
    scenario: Scenario,
    seed: int,
    runs: Iterable[tuple[Result, Path]],
    *,
    quiet: bool,
) -> None:
    """The picture of these runs, as far as they came; a run without a history is left out."""
    if png is None:
        return
    from crunchbed.report.figure import Row, draw

    rows = [
        Row(
            result.policy if result.valid else f"{result.policy} ({result.verdict})",
            History.read(directory / "history.jsonl"),
        )
        for result, directory in runs
        if (directory / "history.jsonl").exists()
    ]
    if not rows:
        raise CrunchbedError(f"{png}: not drawn: no run left a history")
    draw(rows, f"{scenario.name}, seed {seed}", png)
    if not quiet:
        click.echo(f"picture: {png}")


def _record(comparison: Comparison, path: Path) -> dict[str, Any]:
    """Write the comparison down, and return what was written."""
    record = {**comparison.model_dump(mode="json"), "exit_code": comparison.exit_code}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise CrunchbedError(f"{path}: cannot be written: {error.strerror}") from error
    return record


def _print_json(value: object) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
