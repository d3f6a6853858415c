"""``crunchbed shell``: a program of your choice on a node of a live run."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import Final

import click

from crunchbed.cli.live_run import chosen_run, of_run
from crunchbed.live import console, foreground, runs
from nodes.enter import become, enter_netns, join_cgroup
from reserve_agent.errors import BadInput, CrunchbedError

_FALLBACK = "/bin/sh"
_KILLED: Final = 128
"""Plus a signal's number: the exit code that shells report of a command that it killed."""


@click.command(context_settings={"ignore_unknown_options": True})
@of_run
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell(run_id: str | None, node: str, command: tuple[str, ...]) -> int:
    """Run COMMAND, or a shell, in the network namespace and the cgroup of NODE.

    Its sockets are the node's: the hooks judge what they receive, and a packet that finds no
    page is dropped. A node without power has no shell. It ends with the node, when that is
    fenced or loses power, and with the run. NODE may be storage where `crunchbed up` holds the
    cluster open. The exit code is the command's; 128 and the signal for one that was killed.

    Of a node that is a machine it is the console: the guest's own shell, and Ctrl-] leaves it.

    \b
    Examples:
      crunchbed shell n1
      crunchbed shell n1 -- ping -c 3 10.77.0.2
      crunchbed shell storage -- ss -tn
    """  # noqa: D301 - \b is click's
    run = chosen_run(run_id)
    if runs.is_machine(run, node):
        if command:
            raise BadInput(f"{node} is a machine: type {command[0]!r} at its console")
        return _console(run, node)
    place = runs.place_of(run, node)
    boot = runs.boot_of(place)
    if boot is None:
        raise _without_power(run, node)
    argv = list(command) or [os.environ.get("SHELL") or _FALLBACK]
    if shutil.which(argv[0]) is None:
        raise BadInput(f"no program {argv[0]!r} in PATH")
    os.environ |= {"CRUNCHBED_RUN": run, "CRUNCHBED_NODE": node}
    os.environ["debian_chroot"] = f"{node}@{run}"  # noqa: SIM112 - what Debian's prompts show
    sys.stdout.flush()
    code = foreground.run(lambda: _enter(run, node, place, argv))
    if code == -signal.SIGKILL and runs.boot_of(place) != boot:
        told = f"crunchbed: {node} of run {run} has lost its power: the shell on it was ended"
        click.echo(told, err=True)
    return _KILLED - code if code < 0 else code


def _console(run: str, node: str) -> int:
    """Be the terminal of a machine until somebody leaves it, or its power goes."""
    path = runs.console_of(run, node)

    def tell(words: str) -> None:
        click.echo(f"\r\ncrunchbed: {words}\r", err=True)

    def tell_silence() -> None:
        tell(f"{node} does not answer, as a guest that stands still; Ctrl-] or Ctrl-C leaves")

    with console.alone(path, node), console.open_console(path, node, run) as guest:
        if os.isatty(sys.stdin.fileno()):
            tell(f"the console of {node}; Ctrl-] leaves it")
            guest.send(b"\n")  # the shell says again that it is there
        with console.raw_terminal(sys.stdin.fileno()):
            end = console.Talk(guest, sys.stdin.fileno(), sys.stdout.fileno(), tell_silence).run()
    if end == "closed":
        tell(f"{node} of run {run} has lost its power: its console was closed")
        return _KILLED + signal.SIGKILL
    return 0


def _enter(run: str, node: str, place: runs.Place, argv: list[str]) -> None:
    """Become a program on a node.

    Raises:
        BadInput: the node has lost its power meanwhile.
        CrunchbedError: the kernel does not take it there, or cannot execute it.
    """
    try:
        join_cgroup(str(place.cgroup))
        # From here on the loss of power kills this process; before, it could have been missed.
        if runs.boot_of(place) is None:
            raise _without_power(run, node)
        enter_netns(f"/proc/{place.pid}/ns/net")
        become(argv)
    except OSError as error:
        if runs.boot_of(place) is None:
            raise _without_power(run, node) from error
        raise CrunchbedError(f"cannot run {argv[0]} on {node}: {error.strerror}") from error


def _without_power(run: str, node: str) -> BadInput:
    return BadInput(f"{node} of run {run} has no power, and so no shell: `crunchbed status`")
