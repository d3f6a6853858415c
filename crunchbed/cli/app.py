"""The command line. Commands are imported when they are called, so that ``--help`` is quick."""

from __future__ import annotations

import importlib
import os
import select
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Final, NamedTuple

import click

from crunchbed.cli import streams
from reserve_agent.errors import BadInput, CrunchbedError

INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
UNEXPECTED: Final = 3


class _Command(NamedTuple):
    module: str
    attribute: str
    summary: str


_COMMANDS: Final = {
    "check": _Command("crunchbed.cli.check", "check", "What this machine has and lacks."),
    "list": _Command("crunchbed.cli.list", "list_scenarios", "The shipped scenarios' claims."),
    "new": _Command("crunchbed.cli.new", "new", "Begin a scenario of your own."),
    "validate": _Command("crunchbed.cli.validate", "validate", "What is wrong with scenarios."),
    "run": _Command("crunchbed.cli.run", "run", "Run a scenario once and judge it."),
    "compare": _Command("crunchbed.cli.compare", "compare", "Run it under several policies."),
    "sweep": _Command("crunchbed.cli.sweep", "sweep", "Many runs: a grid, or a threshold."),
    "search": _Command("crunchbed.cli.search", "search", "Which schedule of faults breaks a rule?"),
    "agree": _Command("crunchbed.cli.agree", "agree", "Do two backends say the same?"),
    "calibrate": _Command(
        "crunchbed.cli.calibrate", "calibrate", "Is a kernel as its profile says?"
    ),
    "history": _Command("crunchbed.cli.history", "history", "The latest runs."),
    "query": _Command("crunchbed.cli.history", "query", "Ask SQL about all runs."),
    "up": _Command("crunchbed.cli.up", "up", "Hold a cluster open, to be tried by hand."),
    "status": _Command("crunchbed.cli.status", "status", "How a live run's nodes are."),
    "crunch": _Command("crunchbed.cli.crunch", "crunch", "Take a live node's memory away."),
    "link": _Command("crunchbed.cli.crunch", "link", "Set a live node's link down or up."),
    "shell": _Command("crunchbed.cli.shell", "shell", "A shell on a live node."),
    "down": _Command("crunchbed.cli.up", "down", "End the cluster that is held open."),
    "plot": _Command("crunchbed.cli.plot", "plot", "Draw a sweep."),
    "bundle": _Command("crunchbed.cli.bundle", "bundle", "A run as one archive."),
    "judge": _Command("crunchbed.cli.bundle", "judge", "Judge a bundle or a run again."),
    "baseline": _Command("crunchbed.cli.baseline", "baseline", "Results to be held to."),
    "regress": _Command("crunchbed.cli.baseline", "regress", "Has anything got worse since?"),
    "report": _Command("crunchbed.cli.report", "report", "A run or comparison as one HTML file."),
    "levels": _Command("crunchbed.cli.levels", "levels", "What each level did to a machine."),
    "policy": _Command("crunchbed.cli.policy", "policy", "Switch a live node's policy."),
    "reserve": _Command("crunchbed.cli.reserve", "reserve", "How large a reserve must be."),
    "audit": _Command("crunchbed.cli.audit", "audit", "Who may draw on the reserve, unbounded?"),
    "replay-metrics": _Command(
        "crunchbed.cli.replay", "replay_metrics", "Load runs that are over into a Prometheus."
    ),
    "clean": _Command("crunchbed.cli.clean", "clean", "Remove what dead runs left behind."),
}


class _BrokenPipe(Exception):
    """Carries a BrokenPipeError past click, which would silently exit with 1: a failed run."""


class _Lazy(click.Group):
    """A group that imports a command's module only to run it."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _BrokenPipe from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{attribute} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in _COMMANDS.items()])


@click.group(
    cls=_Lazy, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="crunchbed", prog_name="crunchbed")
@click.pass_context
def cli(context: click.Context) -> None:
    """Take a cluster's memory away for a moment, and see whom it ejects.

    A run builds a small cluster on this machine, with real heartbeats and real network block
    I/O, brings one node under memory pressure, and measures what a memory-reserve policy saves.

    \b
    Examples, as root:
      crunchbed check                     what is missing here, and what brings it
      crunchbed list                      the scenarios, each with its claim
      crunchbed compare writeback-crunch  the same crunch without a reserve and with one
      crunchbed run writeback-crunch --policy memalloc --memalloc block-io
                                          save the disk, and see what becomes of heartbeats
      crunchbed run my-cluster.yaml --seed 7 --out runs/last-night

    \b
    Exit codes:
      0  all that was expected holds     3  the run is invalid or unknown
      1  an expectation failed           4  this machine lacks something
      2  wrong input
    """  # noqa: D301 - \b is click's
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; every failure is one line on stderr."""
    streams.steady()
    try:
        code = cli.main(args=argv, prog_name="crunchbed", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        return _fail(_usage(error), BadInput.exit_code)
    except CrunchbedError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", INTERRUPTED)
    except (BrokenPipeError, _BrokenPipe) as error:
        return PIPE_CLOSED if _reader_gone() else _unexpected(error.__cause__ or error)
    except OSError as error:
        if streams.stdout_lost():
            return _fail(f"stdout cannot be written: {error.strerror}", UNEXPECTED)
        return _unexpected(error)
    except Exception as error:
        return _unexpected(error)
    return code if isinstance(code, int) else 0


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "crunchbed"
    return f"{error.format_message()} (see `{path} --help`)"


def _reader_gone() -> bool:
    """Whether stdout has lost its reader; if so, keep the interpreter from writing to it."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    gone = any(flags & select.POLLERR for _, flags in poll.poll(0))
    if gone:
        streams.silence_stdout()
    return gone


def _fail(text: str, code: int) -> int:
    click.echo(f"crunchbed: {' '.join(text.split())}", err=True)
    return code


def _unexpected(error: BaseException) -> int:
    handle, kept = tempfile.mkstemp(prefix="crunchbed-traceback-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return _fail(f"unexpected {type(error).__name__}: {error}; see {kept}", UNEXPECTED)
