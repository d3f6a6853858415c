"""``crunchbed shell``: a program of your choice on a node of a live run."""

from __future__ import annotations

import os
import shutil
import sys

import click

from crunchbed.cli.live_run import chosen_run, of_run
from crunchbed.live import runs
from nodes.enter import become, enter_netns, join_cgroup
from reserve_agent.errors import BadInput, CrunchbedError

_FALLBACK = "/bin/sh"


@click.command(context_settings={"ignore_unknown_options": True})
@of_run
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell(run_id: str | None, node: str, command: tuple[str, ...]) -> None:
    """Run COMMAND, or a shell, in the network namespace and the cgroup of NODE.

    Its sockets are the node's: the hooks judge what they receive, and a packet that finds no
    page is dropped. It ends with the node, when that is fenced or loses power, and with the
    run. NODE may be storage where `crunchbed up` holds the cluster open. The exit code is the
    command's.

    \b
    Examples:
      crunchbed shell n1
      crunchbed shell n1 -- ping -c 3 10.77.0.2
      crunchbed shell storage -- ss -tn
    """  # noqa: D301 - \b is click's
    run = chosen_run(run_id)
    place = runs.place_of(run, node)
    argv = list(command) or [os.environ.get("SHELL") or _FALLBACK]
    if shutil.which(argv[0]) is None:
        raise BadInput(f"no program {argv[0]!r} in PATH")
    os.environ |= {"CRUNCHBED_RUN": run, "CRUNCHBED_NODE": node}
    os.environ["debian_chroot"] = f"{node}@{run}"  # noqa: SIM112 - what Debian's prompts show
    sys.stdout.flush()
    try:
        join_cgroup(str(place.cgroup))
        enter_netns(f"/proc/{place.pid}/ns/net")
        become(argv)
    except OSError as error:
        raise CrunchbedError(f"cannot run {argv[0]} on {node}: {error.strerror}") from error
