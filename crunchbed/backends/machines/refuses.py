"""What this backend cannot do of a scenario, one line each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crunchbed.backends.machines import disk
from crunchbed.backends.machines.images import QEMU_CARDS
from crunchbed.faults.resize_reserve import ResizeReserve
from crunchbed.faults.stall import Stall
from crunchbed.run.world import STORAGE
from crunchbed.scenario.block_io import Iscsi
from crunchbed.scenario.crunch import WritebackCrunch
from crunchbed.scenario.profiles import PROFILES
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import format_duration, format_size
from reserve_agent.contract.packets import PAGE_BYTES

MOST_MACHINES: Final = 8
POLICIES: Final = ("none", "memalloc")
"""No socket is flagged, or the sockets of the classes in ``memalloc``; mainline has no other."""
LEAST_PAGES: Final = 16384
"""Of ``memory.pages``: with the kernel's own memory a machine then has 160 MiB."""
LEAST_INTERVAL_NS: Final = 20_000_000
"""Between a guest's packet and its membership lie up to 2 ms, which are a tenth of this."""
_SECOND: Final = 1_000_000_000
_HAVE: Final = (
    *("link-down", "delay", "node-crash", "switch-crash", "target-crash", "slow-disk"),
    *("arp-expiry", "fence-failure", "loss", "partition", "resize-reserve"),
)
_LACK: Final = {
    "agent-crash": "a machine's memory needs no agent",
    "burst": "only the crunch has a machine swap",
}
"""Why, for some of the kinds of faults that machines lack."""


def refused(scenario: Scenario, *, hold: bool) -> list[str]:
    """Return what machines cannot do of a scenario.

    Args:
        scenario: As resolved.
        hold: Whether the cluster is to be held open, without the scenario's crunch and faults.
    """
    cluster = [
        *_cluster(scenario),
        *_memory(scenario),
        *_block_io(scenario),
        *_protocols(scenario),
    ]
    return cluster if hold else [*cluster, *_crunch(scenario), *_faults(scenario)]


def _cluster(scenario: Scenario) -> Iterator[str]:
    cluster = scenario.cluster
    if cluster.nodes > MOST_MACHINES:
        yield _line("cluster.nodes", f"2 to {MOST_MACHINES} machines", str(cluster.nodes))
    if cluster.topology != "star":
        yield _line("cluster.topology", "star: a machine has one card", cluster.topology)
    if cluster.controller != "none":
        yield _line("cluster.controller", "none for now", cluster.controller)


def _memory(scenario: Scenario) -> Iterator[str]:
    memory = scenario.memory
    if memory.pages < LEAST_PAGES:
        least = f"{LEAST_PAGES} or more ({format_size(LEAST_PAGES * PAGE_BYTES)})"
        got = f"{memory.pages} ({format_size(memory.pages * PAGE_BYTES)})"
        yield _line("memory.pages", least, got)
    if memory.nic not in QEMU_CARDS:
        yield _line("memory.nic", f"one of {', '.join(QEMU_CARDS)}: QEMU has no other", memory.nic)
    if memory.kernel_name in PROFILES:
        yield _line("memory.kernel", "a kernel that boots: this is a profile", memory.kernel_name)
    if memory.on_exhaustion != "drop":
        yield _line("memory.on_exhaustion", "drop, as a kernel does", memory.on_exhaustion)


def _block_io(scenario: Scenario) -> Iterator[str]:
    block_io = scenario.block_io
    if block_io.transport == "iscsi":
        yield from _iscsi(block_io.iscsi)
    if block_io.transport != "nbd" and scenario.membership == "corosync":
        expected = "nbd beside corosync: no guest has both"
        yield _line("block_io.transport", expected, block_io.transport)
    if block_io.pair:
        yield _line("block_io.pair", "[] for now", f"[{', '.join(block_io.pair)}]")
    if not block_io.dirty_rate:
        yield _line("block_io.dirty_rate", "1 or more", "0")
    if block_io.request > disk.MOST_REQUEST:
        most = f"at most {format_size(disk.MOST_REQUEST)}"
        yield _line("block_io.request", most, format_size(block_io.request))
    elif not disk.has_room(scenario):
        swap = format_size(disk.swap_pages(scenario) * PAGE_BYTES)
        expected = f"room for {swap} of swap and for the writes of every node"
        yield _line("block_io.export", expected, format_size(block_io.export))


def _iscsi(session: Iscsi) -> Iterator[str]:
    for key in ("login_timeout", "noop_out_interval", "noop_out_timeout", "replacement_timeout"):
        value = getattr(session, key)
        if value is not None and value % _SECOND:
            expected = "whole seconds, as open-iscsi has them"
            yield _line(f"block_io.iscsi.{key}", expected, format_duration(value))


def _protocols(scenario: Scenario) -> Iterator[str]:
    if scenario.policy not in POLICIES:
        yield _line("policy", f"{' or '.join(POLICIES)}: no kernel has another", scenario.policy)
    if scenario.enforce:
        yield _line("enforce", "false: no kernel refuses protocols at all times", "true")
    interval = scenario.heartbeat.interval
    if interval < LEAST_INTERVAL_NS:
        least = f"{format_duration(LEAST_INTERVAL_NS)} or more"
        yield _line("heartbeat.interval", least, format_duration(interval))


def _crunch(scenario: Scenario) -> Iterator[str]:
    crunch = scenario.crunch
    if isinstance(crunch, WritebackCrunch):
        most = scenario.memory.pages * 3 // 4
        if crunch.pages > most:
            expected = f"at most {most}, 3/4 of memory.pages: a task has them in memory"
            yield _line("crunch.pages", expected, str(crunch.pages))


def _faults(scenario: Scenario) -> Iterator[str]:
    stalls = [fault for fault in scenario.faults if isinstance(fault, Stall)]
    if any(stall.targets != (STORAGE,) for stall in stalls):
        yield "faults: stall of storage alone: a machine's daemons are not processes of ours"
    most = scenario.memory.pages // 16
    for fault in scenario.faults:
        if isinstance(fault, ResizeReserve) and fault.pages > most:
            expected = f"at most {most} pages, 1/16 of memory.pages"
            yield _line("faults: resize-reserve", expected, str(fault.pages))
    for kind in dict.fromkeys(fault.kind for fault in scenario.faults):
        if kind not in (*_HAVE, "stall"):
            yield f"faults: no {kind}: {_LACK.get(kind, 'not on machines yet')}"


def _line(key: str, expected: str, got: str) -> str:
    return f"{key}: expected {expected}, got {got}"
