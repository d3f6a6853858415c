"""Open vSwitch, through its own command-line tools. Needs no Mininet."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable

from nodes.process import entering
from reserve_agent.errors import CrunchbedError

OWNER_KEY = "crunchbed"
"""Key in a bridge's external_ids whose value is the id of the run that made it."""

# ovs-vsctl would wait for ever for an ovs-vswitchd that has died.
_TIMEOUT_SECONDS = 15


def vsctl(*arguments: str) -> str:
    """Run ovs-vsctl and return its output.

    The kernel kills ovs-vsctl when this process ends. So no process of a killed runner makes a
    bridge after `crunchbed clean` has looked for bridges.

    Raises:
        CrunchbedError: ovs-vsctl failed, or took over 15 s.
    """
    command = ["ovs-vsctl", f"--timeout={_TIMEOUT_SECONDS}", *arguments]
    done = subprocess.run(entering(command), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise CrunchbedError(f"Open vSwitch refused: {reason}")
    return done.stdout


def is_installed() -> bool:
    """Whether the tools of Open vSwitch are there."""
    return shutil.which("ovs-vsctl") is not None


def is_running() -> bool:
    """Whether ovs-vswitchd answers."""
    return _succeeds("ovs-appctl", "--timeout=3", "--target=ovs-vswitchd", "version")


def has_kernel_datapath() -> bool:
    """Whether the kernel's openvswitch module is loaded, or built in."""
    return _succeeds("ovs-dpctl", "--timeout=3", "dump-dps")


def bridges_of_runs() -> dict[str, str]:
    """The run id by name of each bridge that a run has made; empty without Open vSwitch."""
    if not is_installed():
        return {}
    try:
        listed = vsctl("--format=json", "--columns=name,external_ids", "list", "Bridge")
    except CrunchbedError:
        return {}
    owners = {name: dict(pairs).get(OWNER_KEY) for name, (_, pairs) in json.loads(listed)["data"]}
    return {name: run_id for name, run_id in owners.items() if run_id is not None}


def delete_bridges(names: Iterable[str]) -> None:
    """Delete bridges in one transaction and wait until they are gone; missing ones are no error."""
    vsctl(*(word for name in names for word in ("--", "--if-exists", "del-br", name)))


def take_apart(bridge: str) -> None:
    """Delete a bridge port by port, so that the other bridges go on.

    They have one ovs-vswitchd. Without a kernel datapath it forwards packets itself, and forwards
    none while it closes a port, which takes the kernel up to 20 ms.
    """
    for port in vsctl("list-ports", bridge).split():
        vsctl("del-port", bridge, port)
    delete_bridges([bridge])


def attached_ports(bridge: str) -> set[str]:
    """The interfaces on a bridge that have a port number, which means that they work."""
    names = vsctl("list-ports", bridge).split()
    if not names:
        return set()
    listed = vsctl("--format=json", "--columns=name,ofport", "list", "Interface", *names)
    rows = json.loads(listed)["data"]
    # A port that could not be opened is listed too, with the number -1 or without a number.
    return {name for name, number in rows if isinstance(number, int) and number > 0}


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(entering(command), capture_output=True, check=False, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
