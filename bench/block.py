"""The cost of the hooks for block I/O: NBD writes without hooks, with them, and through NFQUEUE.

Each measurement has a new pair of namespaces, without offloads as a cluster's nodes, with nbdkit's
memory plugin on the peer and fio on the node. A round measures the three variants in turn, and each
round begins with another one; a ratio is between two measurements of the same round.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.spread import Spread, coloured
from crunchbed.host.scratch import scratch
from crunchbed.run.signals import ended_by_signals
from nodes.block.target import is_listening, nbdkit_argv
from nodes.process import Process, entering, spawn
from nodes.waiting import wait_until
from reserve_agent.contract.packets import (
    SOCK_MEMALLOC,
    SOCK_WRITEBACK,
    PacketClass,
    Policy,
    PortRule,
)
from reserve_agent.errors import CrunchbedError
from reserve_agent.hooks.loader import HookSettings, NodeHooks
from reserve_agent.netns import network_namespace_of
from reserve_agent.pool_handle import PoolHandle
from tests.system.wire import PEER, cable
from topologies.wiring import shape_node

GOAL_LOST_PERCENT = 2.0
VARIANTS = ("no hooks", "hooks", "nfqueue")
RATES: dict[str, float | None] = {"unshaped": None, "200 Mb/s": 200.0}
# A shaped link is less noisy than a full processor: every third round is enough for it.
ROUNDS, SHAPED_EVERY, SECONDS, WARM_UP = 18, 3, 1, 0.3
PORT, TARGET_BYTES = 10809, 64 << 20
BLOCK_BYTES, DEPTH = 16384, 16
NFQUEUE = Path(__file__).resolve().parents[1] / "build" / "nfqueue"
QUEUE = "7"
SETTINGS = HookSettings(
    Policy.MEMALLOC,
    rules=(PortRule(PORT, 6, PacketClass.BLOCK_IO, SOCK_MEMALLOC | SOCK_WRITEBACK),),
)
POOL_PAGES, RESERVE_PAGES = 16384, 512


@dataclass(frozen=True)
class Writes:
    """One measurement of fio."""

    bytes_per_second: float
    p99_seconds: float


def _fio(node: int, cgroup: Path) -> Writes:
    """Sequential writes of 16 KiB, 16 at a time."""
    argv = [
        *("fio", "--name=bench", "--ioengine=nbd", f"--uri=nbd://{PEER}:{PORT}", "--thread"),
        *("--rw=write", f"--bs={BLOCK_BYTES}", f"--iodepth={DEPTH}", f"--size={TARGET_BYTES}"),
        *("--time_based", f"--runtime={SECONDS}", f"--ramp_time={WARM_UP}"),
        "--output-format=json",
    ]
    command = entering(argv, netns_pid=node, cgroup=cgroup)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise CrunchbedError(f"fio: {done.stderr.strip() or done.stdout.strip()}")
    write = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]["write"]
    return Writes(write["bw_bytes"], write["clat_ns"]["percentile"]["99.000000"] / 1e9)


@contextmanager
def _hooks(node: int, cgroup: Path) -> Iterator[None]:
    """Attach the hooks to the node; raise if they drop a packet meanwhile."""
    hooks = NodeHooks()
    try:
        hooks.configure(SETTINGS)
        pool = PoolHandle.of(hooks)
        pool.resize(POOL_PAGES, RESERVE_PAGES)
        hooks.attach(netns_pid=node, interfaces=["eth0"], cgroup=cgroup)
        yield
        rows = hooks.counters()
        if not rows or any(not reason.passed for _, _, reason in rows):
            raise CrunchbedError(f"the hooks counted {rows}: not what is to be measured")
    finally:
        hooks.close()


@contextmanager
def _nfqueue(node: int, scratch: Path) -> Iterator[None]:
    """Send every packet, in and out, through a program that gives a verdict."""
    loop = spawn([str(NFQUEUE), QUEUE], name="nfqueue", log=scratch / "nfqueue", **_at(node))
    try:
        wait_until(lambda: loop.last_words() == "ready", 5, "the verdict loop listens")
        for chain, option in (("INPUT", "-i"), ("OUTPUT", "-o")):
            rule = ["iptables", "-w", "-A", chain, option, "eth0", "-j", "NFQUEUE"]
            _run_in(node, [*rule, "--queue-num", QUEUE])
        yield
        if loop.poll() is not None:
            raise CrunchbedError(f"the verdict loop ended: {loop.last_words()}")
    finally:
        loop.kill()


def _at(pid: int) -> dict[str, Any]:
    return {"netns_pid": pid, "cgroup": None}


def _run_in(pid: int, argv: Sequence[str]) -> None:
    subprocess.run(entering(argv, netns_pid=pid), check=True, stdout=subprocess.DEVNULL)


def _listen(peer: int, scratch: Path) -> Process:
    """Start the target, and wait until it listens."""
    argv = nbdkit_argv(PEER, PORT, "memory", str(TARGET_BYTES))
    target = spawn(argv, name="nbdkit", log=scratch / "nbdkit", **_at(peer))

    def listening() -> bool:
        with network_namespace_of(peer):
            return is_listening(PEER, PORT)

    wait_until(listening, 5, "nbdkit listens")
    return target


def measure(variant: str, rate_mbit: float | None) -> Writes:
    """Measure one variant on a new pair of namespaces; None does not shape it."""
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        place = stack.enter_context(scratch("bench"))
        node, peer, cgroup = stack.enter_context(cable())
        for end in (node, peer):
            if rate_mbit is not None:
                with network_namespace_of(end):
                    shape_node(["eth0"], rate_mbit)
            else:
                _run_in(end, ["ethtool", "-K", "eth0", "tso", "off", "gso", "off", "gro", "off"])
        target = _listen(peer, place)
        stack.callback(target.kill)
        if variant == "hooks":
            stack.enter_context(_hooks(node, cgroup))
        elif variant == "nfqueue":
            stack.enter_context(_nfqueue(node, place))
        return _fio(node, cgroup)


Result = dict[tuple[str, str], list[Writes]]


def run(rounds: int) -> Result:
    """Measure all variants in turns; returns by shaping and variant one entry for each round."""
    found: Result = {(rate, variant): [] for rate in RATES for variant in VARIANTS}
    for number in range(rounds):
        first = number % len(VARIANTS)
        for rate, mbit in RATES.items():
            if mbit is not None and number % SHAPED_EVERY:
                continue
            for variant in VARIANTS[first:] + VARIANTS[:first]:
                found[rate, variant].append(measure(variant, mbit))
    return found


def _spreads(result: Result, key: tuple[str, str]) -> dict[str, Spread]:
    """Throughput, its loss compared with no hooks, and the 99th percentile of the latency."""
    own, base = result[key], result[key[0], VARIANTS[0]]
    pairs = list(zip(own, base, strict=True))
    lost = [100 * (1 - one.bytes_per_second / other.bytes_per_second) for one, other in pairs]
    return {
        "megabits_per_second": Spread.of([one.bytes_per_second * 8e-6 for one in own]),
        "lost_percent": Spread.of(lost),
        "p99_milliseconds": Spread.of([one.p99_seconds * 1e3 for one in own]),
    }


def table(result: Result) -> Table:
    """One row for a shaping and variant."""
    shown = Table(
        title=f"NBD writes; goal: hooks lose at most {GOAL_LOST_PERCENT:g} % against no hooks",
        caption="median (quartiles) of rounds taken in turn; lost: within each round",
    )
    for heading in ("link", "variant"):
        shown.add_column(heading)
    for heading in ("Mb/s", "lost %", "p99 ms"):
        shown.add_column(heading, justify="right")
    for rate, variant in result:
        found = _spreads(result, (rate, variant))
        lost = found["lost_percent"]
        cell = coloured(lost.shown(1), good=lost.median <= GOAL_LOST_PERCENT)
        shown.add_row(
            rate,
            variant,
            found["megabits_per_second"].shown(),
            "" if variant == VARIANTS[0] else cell,
            found["p99_milliseconds"].shown(2),
        )
    return shown


def as_dict(result: Result) -> dict[str, Any]:
    """For the JSON file."""
    rows = [
        {"link": rate, "variant": variant, **_spreads(result, (rate, variant))}
        for rate, variant in result
    ]
    return {"goal_lost_percent": GOAL_LOST_PERCENT, "rows": rows}
