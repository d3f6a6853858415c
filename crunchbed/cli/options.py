"""Options that several commands share, bundled into one value."""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from crunchbed.cli.names import names_of
from crunchbed.cli.output import DIRECTORY, FILE, json_option
from crunchbed.scenario.cluster import BACKENDS
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.section import EVENTS, MOST_IN_FULL
from reserve_agent.contract.packets import MEMALLOC_CLASSES, POLICIES
from reserve_agent.errors import BadInput

DEFAULT_PARENT: Final = Path("runs")

_MOST_OF_A_NAME: Final = 150  # characters in a directory's name; file systems take 255 in all
Command = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``_SHARED`` options say; an option that a command does not have keeps its default."""

    overrides: tuple[str, ...] = ()
    backend: str | None = None
    events: str | None = None
    kernel: Path | None = None
    modules: Path | None = None
    headers: Path | None = None
    policy: str | None = None
    memalloc: str | None = None
    seed: int = 1
    out: Path | None = None
    png: Path | None = None
    junit: Path | None = None
    as_json: bool = False
    quiet: bool = False
    prometheus: bool = False

    def scenario(self, name: str) -> Scenario:
        """Read a scenario, with what the options change in it; BadInput where either is wrong.

        A kernel of the user's own is made ready for machines, which may take a minute.
        """
        settings = self.changes
        if self.backend is not None:
            settings["cluster.backend"] = self.backend
        if self.events is not None:
            settings["events"] = self.events
        if self.memalloc is not None:
            settings["memalloc"] = classes_of(self.memalloc)
        if self.policy is not None:
            settings["policy"] = policy_of(self.policy)
        chosen = load(name).with_overrides(settings)
        if self.kernel is not None and chosen.cluster.backend != "machines":
            raise BadInput("--kernel: expected --backend machines, whose nodes boot a kernel")
        if (own := self.own_kernel()) is not None:
            chosen = chosen.with_overrides({"memory.kernel": own})
        return chosen

    @property
    def changes(self) -> dict[str, object]:
        """What ``--set`` changes, by key; BadInput for one that is not KEY=VALUE."""
        settings: dict[str, object] = {}
        for override in self.overrides:
            key, equals, value = override.partition("=")
            if not key or not equals:
                raise BadInput(f"--set: expected KEY=VALUE, got {override!r}")
            settings[key] = value
        return settings

    def own_kernel(self) -> str | None:
        """Make a guest of the kernel that the options name, if they do; return its name."""
        if self.kernel is None:
            if self.modules is not None or self.headers is not None:
                raise BadInput("--modules, --headers: expected --kernel IMAGE with them")
            return None
        if self.modules is None:
            raise BadInput("--kernel: expected its --modules, as /lib/modules/RELEASE is")
        from crunchbed.backends.machines import own  # with the probes of this machine

        return own.prepare(
            own.OwnKernel(self.kernel, self.modules, self.headers),
            (lambda _line: None) if self.quiet else (lambda line: click.echo(line, err=True)),
        )

    def directory(self, name: str) -> Path:
        """Return ``--out``, or one called ``name`` under ``runs/``; BadInput: it is not empty."""
        out = self.out
        if out is None:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            return DEFAULT_PARENT / f"{stamp}-{name[:_MOST_OF_A_NAME]}-{secrets.token_hex(2)}"
        if out.is_dir() and any(out.iterdir()):
            raise BadInput(f"--out {out}: expected a new or empty directory")
        return out


def classes_of(text: str) -> list[str]:
    """Return the memalloc classes in ``text``, separated by commas, or none of them."""
    return [] if text == "none" else names_of(text, MEMALLOC_CLASSES, "memalloc class")


def policy_of(text: str) -> str:
    """Return the one policy that ``text`` names."""
    if "," in text:
        raise BadInput(f"--policy: expected one, got {text}; several: crunchbed compare")
    return names_of(text, POLICIES, "policy")[0]


def can_be_made(_context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Find out before the run, rather than after it, whether a file can be written."""
    if path is None:
        return None
    if option.name == "png" and path.suffix.lower() != ".png":
        raise BadInput(f"--png {path}: expected a name that ends in .png")
    try:
        nearest = next(parent for parent in path.absolute().parents if parent.exists())
    except OSError as error:
        raise BadInput(f"--{option.name} {path}: cannot be made: {error.strerror}") from None
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise BadInput(f"--{option.name} {path}: cannot write in {nearest}")
    return path


def _file(name: str, help_text: str) -> Callable[[Command], Command]:
    return click.option(name, type=FILE, callback=can_be_made, metavar="FILE", help=help_text)


_SHARED: Final[Mapping[str, Callable[[Command], Command]]] = {
    "overrides": click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="Change a key of the scenario, such as crunch.pages=9000; may be repeated.",
    ),
    "backend": click.option(
        "--backend",
        metavar="BACKEND",
        help=f"What the nodes are made of, in place of cluster.backend: {', '.join(BACKENDS)}.",
    ),
    "events": click.option(
        "--events",
        metavar="WHICH",
        help=f"What a simulation's history has: {' or '.join(EVENTS)}; by default all events of up "
        f"to {MOST_IN_FULL} nodes, and of more a summary.",
    ),
    "kernel": click.option(
        "--kernel",
        type=FILE,
        metavar="IMAGE",
        help="A kernel of your own for machines to boot, a bzImage, with its --modules.",
    ),
    "modules": click.option(
        "--modules", type=DIRECTORY, help="Its modules, as /lib/modules/RELEASE has them."
    ),
    "headers": click.option(
        "--headers",
        type=DIRECTORY,
        help="Its headers, or the folder in which it was built; build in --modules by default.",
    ),
    "policy": click.option("--policy", metavar="POLICY", help=f"One of {', '.join(POLICIES)}."),
    "memalloc": click.option(
        "--memalloc",
        metavar="CLASSES",
        help=f"Classes whose sockets are memalloc: {','.join(MEMALLOC_CLASSES)}, or none.",
    ),
    "seed": click.option(
        "--seed",
        type=click.IntRange(0, 2**31 - 1),
        default=1,
        show_default=True,
        help="Decides what the scenario leaves to chance: when, and on which node.",
    ),
    "out": click.option(
        "--out",
        type=DIRECTORY,
        help="Directory to make; by default one under runs/.",
    ),
    "png": _file(
        "--png", "Draw the crunched node through time, a row for each policy; first seed only."
    ),
    "junit": _file("--junit", "Write the runs and expectations as JUnit XML, for CI."),
    "as_json": json_option,
    "quiet": click.option("--quiet", "-q", is_flag=True, help="No progress on stderr."),
    "prometheus": click.option(
        "--prometheus",
        is_flag=True,
        help="Record the metrics with a Prometheus of its own, beside the run, every second; "
        "its data stay in the directory. The control phase waits until it sees all nodes.",
    ),
}

BACKEND: Final = ("backend", "events", "kernel", "modules", "headers")
"""The options that say what the nodes are made of, and what is recorded of them."""
junit_option: Final = _SHARED["junit"]


def bundled(
    name: str, kind: type, options: Mapping[str, Callable[[Command], Command]]
) -> Callable[[Command], Command]:
    """Give a command options that come as one value: its argument ``name``, which ``kind`` makes.

    ``options`` are by the keyword of ``kind``, in the order of the command's help.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(**values: Any) -> Any:
            value = kind(**{key: values.pop(key) for key in options})
            return command(**{name: value}, **values)

        decorated: Command = call
        for option in reversed(list(options.values())):  # click lists the last one first
            decorated = option(decorated)
        return decorated

    return decorate


def takes(*names: str) -> Callable[[Command], Command]:
    """Give a command these options of ``Options``, as its argument ``options``."""
    return bundled("options", Options, {name: _SHARED[name] for name in names})


def policies_option(command: Command) -> Command:
    """Give a command ``--policies``: those to be compared."""
    return click.option(
        "--policies",
        metavar="P,P",
        show_default="the scenario's own and those that it expects something of",
        help=f"Policies to run, out of {', '.join(POLICIES)}.",
    )(command)
