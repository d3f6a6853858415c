"""Start and stop of a cluster's network, compared with plain Mininet and the same topology.

Both are timed in turns, each in a process of its own, on the switch that a run would have. Plain
Mininet has OVSBridge with its ports batched. Where there is no Open vSwitch it has the project's
class of Linux bridges, since Mininet's own needs brctl. A start of crunchbed does more than plain
Mininet: it shapes ports, switches offloads off, looks for every port on its switch, and pings from
every host.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from rich.table import Table

from bench.spread import Spread, coloured
from crunchbed.host.run_ids import draw_id
from reserve_agent.errors import CrunchbedError

SIZES = (8, 32, 64, 128)
ROUNDS = 5
GOAL = 1.5
VARIANTS = ("plain", "crunchbed")
_TIMEOUT_SECONDS = 120

_OURS = """
import sys, time
from topologies.cluster import Cluster
net = Cluster(sys.argv[1], nodes=int(sys.argv[2]))
began = time.monotonic()
"""
_PLAIN = """
import sys, time, warnings
warnings.simplefilter("ignore")
from functools import partial
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import OVSBridge
from topologies.parts import BridgeSwitch
from topologies.topo import topos
from topologies.switches import choose_switch
setLogLevel("error")
kind = choose_switch("auto")
datapath = "user" if kind == "ovs-user" else "kernel"
ovs = partial(OVSBridge, datapath=datapath, batch=True)
switch = BridgeSwitch if kind == "linux-bridge" else ovs
began = time.monotonic()
net = Mininet(topo=topos["star"](int(sys.argv[2]), sys.argv[1]), switch=switch, controller=None)
"""
_START_AND_STOP = """
net.start()
up = time.monotonic()
net.stop()
print(up - began, time.monotonic() - up)
"""
_PROGRAMS = {"plain": _PLAIN + _START_AND_STOP, "crunchbed": _OURS + _START_AND_STOP}

Result = dict[tuple[int, str], list[tuple[float, float]]]
"""(nodes, variant) to (start, stop) of each round, seconds."""


def measure(variant: str, nodes: int) -> tuple[float, float]:
    """Seconds for one start and one stop; ``nodes`` does not count the storage host.

    Raises:
        CrunchbedError: the start or the stop failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAMS[variant], draw_id(), str(nodes)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise CrunchbedError(f"{variant} with {nodes} nodes failed: {words}")
    start, stop = done.stdout.split()[-2:]
    return float(start), float(stop)


def run(rounds: int) -> Result:
    """Measure all sizes, with both variants in turns."""
    found: Result = {(nodes, variant): [] for nodes in SIZES for variant in VARIANTS}
    for _ in range(rounds):
        for nodes, variant in found:
            found[nodes, variant].append(measure(variant, nodes))
    return found


def _spreads(found: Result, nodes: int, part: int) -> dict[str, Spread]:
    return {
        variant: Spread.of([times[part] for times in found[nodes, variant]]) for variant in VARIANTS
    }


def table(found: Result) -> Table:
    """Medians in seconds with their quartiles, and the ratio of crunchbed to plain Mininet."""
    made = Table(title="start and stop of a star, seconds: median (quartiles)")
    for heading in ("nodes", "", "plain Mininet", "crunchbed", f"times as long (goal {GOAL})"):
        made.add_column(heading, justify="right")
    for nodes in SIZES:
        for part, word in enumerate(("start", "stop")):
            spreads = _spreads(found, nodes, part)
            plain, ours = spreads["plain"], spreads["crunchbed"]
            ratio = ours.median / plain.median
            cells = (plain.shown(2), ours.shown(2), coloured(f"{ratio:.2f}", good=ratio <= GOAL))
            made.add_row(str(nodes), word, *cells)
    return made


def as_dict(found: Result) -> list[dict[str, Any]]:
    """For the JSON file."""
    return [
        {"nodes": nodes, "what": word, "variants": _spreads(found, nodes, part)}
        for nodes in SIZES
        for part, word in enumerate(("start_seconds", "stop_seconds"))
    ]
