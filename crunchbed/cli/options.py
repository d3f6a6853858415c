"""Options that ``crunchbed run`` and ``crunchbed compare`` share, and what they are read into."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from crunchbed.expect import parse
from crunchbed.experiments.matrix import (
    BY_DETECTOR,
    BY_SHED,
    DETECTORS,
    FLAGS,
    SETTINGS,
    Axis,
    detector_of,
    flags_of,
    shed_of,
)
from crunchbed.scenario.kinds import did_you_mean
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.shed import MODES as SHED_MODES
from reserve_agent.contract.packets import MEMALLOC_CLASSES, POLICIES
from reserve_agent.errors import BadInput

DEFAULT_PARENT = Path("runs")

Crossing = tuple[Axis, dict[str, Mapping[str, Any]]]


def can_be_made(_context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Find out before the run rather than after it."""
    if path is not None:
        nearest = next(parent for parent in path.absolute().parents if parent.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            raise BadInput(f"--{option.name} {path}: cannot write in {nearest}")
    return path


junit_option = click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=can_be_made,
    metavar="FILE",
    help="Write the runs and expectations as JUnit XML, for CI.",
)


quiet_option = click.option(
    "--quiet", "-q", is_flag=True, help="Nothing of its progress on stderr."
)


policies_option = click.option(
    "--policies",
    metavar="P,P",
    show_default="the scenario's own and those that it expects something of",
    help=f"Policies to run, out of {', '.join(POLICIES)}.",
)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options and the argument that both have."""
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."),
        quiet_option,
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
            callback=can_be_made,
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


def seed_range(text: str | None, first: int, repeats: int) -> range:
    """The seeds of a comparison: ``--seeds 1..5``, or ``--repeats`` from ``--seed`` on."""
    if text is None:
        return range(first, first + repeats)
    if (first, repeats) != (1, 1):
        raise BadInput("--seeds: expected instead of --seed and --repeats, got both")
    low, dots, high = text.partition("..")
    high = high if dots else low
    numbers = [int(one) if one.isascii() and one.isdigit() else -1 for one in (low, high)]
    if not 0 <= numbers[0] <= numbers[1] < min(2**31, numbers[0] + 1000):
        raise BadInput(f"--seeds: expected A..B such as 1..5, at most 1000 of them, got {text!r}")
    return range(numbers[0], numbers[1] + 1)


def crossed(
    scenario: Scenario, memalloc: str | None, detectors: str | None, shed: str | None
) -> tuple[Scenario, Crossing | None]:
    """What the policies of a comparison are crossed with, if with anything.

    One flag setting or one way to shed is no crossing: it is set in the scenario that is returned.

    Raises:
        BadInput: a name is unknown, or more than one option has several.
    """
    sheds = [] if shed is None else names_of(shed, SHED_MODES, "way to shed")
    if len(sheds) == 1:
        scenario = scenario.with_overrides(shed_of(sheds[0]))
    settings = [] if memalloc is None else names_of(memalloc, tuple(SETTINGS), "flag setting")
    if len(settings) == 1:
        scenario = scenario.with_overrides(flags_of(settings[0]))
    if len(sheds) > 1:
        if len(settings) > 1 or detectors is not None:
            raise BadInput("--shed: expected one way to shed with --memalloc or --detectors")
        return scenario, (BY_SHED, {name: shed_of(name) for name in sheds})
    if detectors is not None:
        if len(settings) > 1:
            raise BadInput("--detectors: expected one flag setting with it, got --memalloc of more")
        names = names_of(detectors, DETECTORS, "detector")
        return scenario, (BY_DETECTOR, {name: detector_of(scenario, name) for name in names})
    if len(settings) > 1:
        return scenario, (FLAGS, {name: flags_of(name) for name in settings})
    return scenario, None


def chosen_scenario(name: str, overrides: Iterable[str], memalloc: str | None) -> Scenario:
    """The scenario that is called ``name``, with what the command line changes in it.

    Raises:
        BadInput: there is none, it is wrong, or a change does not fit it.
    """
    settings: dict[str, object] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not key or not equals:
            raise BadInput(f"--set: expected KEY=VALUE, got {override!r}")
        settings[key] = value
    if memalloc is not None:
        settings["memalloc"] = (
            [] if memalloc == "none" else names_of(memalloc, MEMALLOC_CLASSES, "memalloc class")
        )
    return load(name).with_overrides(settings)


def compared(scenario: Scenario, policies: str | None) -> list[str]:
    """The policies that are held against each other: those in ``policies``, a list with commas.

    Without it: those that its expectations name and its own, so that each can be judged; where they
    name none, what they expect is of any policy: ``none`` and ``memalloc``.

    Raises:
        BadInput: a name is unknown or there twice.
    """
    if policies is not None:
        return names_of(policies, POLICIES, "policy")
    named = frozenset[str]().union(*(parse(text).policies for text in scenario.expect))
    chosen = {scenario.policy, *(named or ("none", "memalloc"))}
    return [policy for policy in POLICIES if policy in chosen]


def with_policies(scenario: Scenario, names: str) -> list[Scenario]:
    """The scenario under each of the policies in ``names``, a list with commas."""
    return [
        scenario.with_overrides({"policy": name}) for name in names_of(names, POLICIES, "policy")
    ]


def names_of(text: str, known: tuple[str, ...], what: str) -> list[str]:
    """The names in ``text``, separated by commas.

    Raises:
        BadInput: one is not ``known``, or is there twice; ``what`` is what they are called.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise BadInput(f"unknown {what} {name!r}{hint}; known: {', '.join(known)}")
    if len(set(names)) != len(names):
        raise BadInput(f"expected each {what} once, got {text}")
    return names


def run_directory(out: Path | None, name: str) -> Path:
    """Return a directory that is not there yet, or is empty."""
    if out is None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        return DEFAULT_PARENT / f"{stamp}-{name}-{secrets.token_hex(2)}"
    if out.is_dir() and any(out.iterdir()):
        raise BadInput(f"--out {out}: expected a new or empty directory")
    return out
