"""The daemons of a node: which there are, how they are started, and what they are told."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crunchbed.backends.namespaces import configs
from crunchbed.scenario.schema import Scenario
from nodes.process import Process, descendants
from topologies.node import ClusterNode

_MODULES = {
    "service": "nodes.service",
    "initiator": "nodes.block.initiator",
    "traffic": "nodes.traffic",
}
_MEMBERSHIPS = {"crunchbed": "nodes.heartbeat", "corosync": "nodes.corosync"}


@dataclass(frozen=True)
class Places:
    """Where a run keeps things.

    Attributes:
        run_id: Short id in every name the run makes.
        state: ``/run/crunchbed/<id>``: sockets.
        pins: ``/sys/fs/bpf/crunchbed-<id>``.
        out: The run directory.
    """

    run_id: str
    state: Path
    pins: Path
    out: Path

    def of(self, node: str, name: str) -> Path:
        """Return the path of a socket or a configuration file of a node."""
        return self.state / f"{node}.{name}"

    def log(self, node: str, name: str) -> Path:
        """Return the path of the log of one of a node's processes."""
        return self.out / "logs" / f"{node}-{name}.log"


def argv(module: str, config: Path) -> list[str]:
    """Return the command that starts a daemon."""
    return [sys.executable, "-m", module, str(config)]


def names(scenario: Scenario, node: str) -> tuple[str, ...]:
    """Return the daemons of a node that is up, in the order of their start."""
    serves = node in scenario.block_io.pair
    return ("heartbeat", "service" if serves else "initiator", "traffic")


def module(scenario: Scenario, name: str) -> str:
    """Return the Python module that is this daemon."""
    return _MEMBERSHIPS[scenario.membership] if name == "heartbeat" else _MODULES[name]


def config(
    scenario: Scenario,
    places: Places,
    nodes: Mapping[str, ClusterNode],
    node: str,
    incarnation: int,
    name: str,
) -> dict[str, Any]:
    """Return what the daemon ``name`` of ``node`` is told when it starts."""
    common: dict[str, Any] = {"events": str(places.of(node, "agent"))}
    if name == "heartbeat":
        return common | _membership(scenario, places, nodes, node, incarnation)
    if name == "service":
        common["fence"] = str(places.state / "fence")
        common["listen"] = str(places.of(node, "service"))
        common["log"] = str(places.log(node, "target"))
        return common | configs.service(scenario, places.state, nodes, node, incarnation)
    if name == "initiator":
        common["pins"] = str(places.pins / node)
        common["control"] = str(places.of(node, "initiator"))
        address = configs.portal(scenario, nodes)
        return common | configs.initiator(scenario, address, node, incarnation)
    return common | configs.traffic_sink(scenario, nodes[node])


def _membership(
    scenario: Scenario,
    places: Places,
    nodes: Mapping[str, ClusterNode],
    node: str,
    incarnation: int,
) -> dict[str, Any]:
    if scenario.membership == "corosync":
        told = configs.corosync(scenario, places.run_id, nodes, node)
        told["keep"] = [str(places.state)]
    else:
        told = configs.heartbeat(scenario, nodes, node, incarnation)
    serves = node in scenario.block_io.pair
    listeners = [str(places.of(node, "service"))] if serves else []
    return told | {"fence": str(places.state / "fence"), "listeners": listeners}


def signal_family(process: Process, number: signal.Signals) -> None:
    """Send a signal to a daemon and to all that it has started."""
    process.signal(number)
    # A child of a process of ours keeps its pid until that one has taken note of its end; a
    # stopped one takes no note, and the others' children end with them.
    for pid in descendants(process.pid) if process.poll() is None else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
