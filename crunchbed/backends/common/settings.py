"""From a scenario to what the rules of a node are set to, whatever the node is made of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeVar

from crunchbed.scenario.crunch import FloodCrunch
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.sizing import reserve_pages
from nodes.block.pattern import BLOCK_BYTES
from nodes.membership.settings import DEFAULT_GRACE_NS
from reserve_agent.contract.packets import (
    PAGE_BYTES,
    SOCK_MEMALLOC,
    SOCK_REALTIME,
    SOCK_WRITEBACK,
    PacketClass,
    PortRule,
)
from topologies.layout import STORAGE_NUMBER

FENCE_TIMEOUT_NS: Final = 2_000_000_000
"""In which whoever asks for a fence expects the answer."""
SERVICE_RETRY_NS: Final = 500_000_000
"""When the pair's service daemon asks the fence service again."""
BALLAST_ABOVE: Final = 1000
"""Pages that a crunch has to take on its way to the high watermark. A machine has one processor:
what takes thousands of pages at once holds up its heartbeats before there is any pressure. A kernel
may set 512 of them aside for several pages at once (HIGHATOMIC): with fewer left, tasks of 6.1 find
no page after a crunch either, and a kernel thread that has nobody to kill panics."""
_START_NS: Final = 1_000_000_000
_TCP: Final = 6
_UDP: Final = 17


class _Networked(Protocol):
    @property
    def network(self) -> str:
        """Label of the network that a link leads to."""


_Link = TypeVar("_Link", bound=_Networked)


def rings(links: Sequence[_Link]) -> tuple[_Link, ...]:
    """Return the links of a host that are rings of heartbeats.

    The ring is the network called "cluster"; without one, every link is a ring of its own, which
    fails apart from the others.
    """
    named = [link for link in links if link.network == "cluster"]
    return (named[0],) if named else tuple(links)


def port_rules(scenario: Scenario) -> tuple[PortRule, ...]:
    """Return what a port says of a packet, and of the socket that connects or sends to it.

    The block initiator does not know SO_MEMALLOC: a rule marks its sockets when they connect, and
    so it is with corosync's. Our own heartbeat daemon sets the option itself. By a kernel's
    profile either is a real-time task, as corosync is.
    """
    block_flags = SOCK_WRITEBACK | (SOCK_MEMALLOC if "block-io" in scenario.memalloc else 0)
    by_rule = scenario.membership == "corosync" and "heartbeat" in scenario.memalloc
    heartbeat_flags = SOCK_MEMALLOC if by_rule else 0
    if scenario.nic is not None:
        heartbeat_flags |= SOCK_REALTIME
    return (
        PortRule(scenario.block_io.port, _TCP, PacketClass.BLOCK_IO, block_flags),
        PortRule(scenario.heartbeat.port, _UDP, PacketClass.HEARTBEAT, heartbeat_flags),
    )


def portal(scenario: Scenario, storage: str) -> str:
    """Return the address that initiators connect to: the storage host's, or the one that moves.

    The address that moves is the first one of the storage host's subnet that no node has.
    """
    if not scenario.block_io.pair:
        return storage
    number, wide = scenario.cluster.nodes + 1, scenario.cluster.nodes >= STORAGE_NUMBER
    kept = ".".join(storage.split(".")[: 2 if wide else 3])
    return f"{kept}.{number >> 8}.{number & 255}" if wide else f"{kept}.{number}"


def heartbeat(scenario: Scenario, name: str, incarnation: int) -> dict[str, Any]:
    """Return the settings of one node's membership, but peers and detector."""
    index, nodes = scenario.index_of(name), scenario.cluster.nodes
    interval = scenario.heartbeat.interval
    return {
        "node": name,
        "index": index,
        "interval_ns": interval,
        "misses": scenario.heartbeat.misses,
        "incarnation": incarnation,
        "joining": incarnation > 0,
        # Spread over the interval, so that nodes do not all send at once.
        "phase_ns": interval * index // nodes,
        "fence_timeout_ns": FENCE_TIMEOUT_NS,
        "tells_quorum": scenario.no_quorum == "stop",
        # Nodes are started one after the other: the first has to wait for the last.
        "grace_ns": max(DEFAULT_GRACE_NS, _START_NS * nodes),
    }


def clean_pages(scenario: Scenario) -> int:
    """Return the pages that tasks of each node use from the start.

    By a kernel's profile a flood finds what machines leave it: ``BALLAST_ABOVE`` pages above the
    high watermark, which is half of min above min (``__setup_per_zone_wmarks``).
    """
    memory, profile = scenario.memory, scenario.profile
    if profile is None or profile.card is None or not isinstance(scenario.crunch, FloodCrunch):
        return memory.clean
    card, buffers = profile.card, profile.kernel.buffers
    fragment = 0 if buffers is None else buffers.fragment_pages
    per_piece = card.per_fragment(fragment) or card.per_page
    ring = -(-card.ring // per_piece) * (fragment if card.per_fragment(fragment) else 1)
    left = reserve_pages(scenario) * 3 // 2 + BALLAST_ABOVE + ring
    return max(memory.clean, memory.pages - left)


def writeback(scenario: Scenario, name: str, incarnation: int) -> dict[str, Any]:
    """Return the settings of one node's writeback; every node has a region of the device."""
    block_io, index = scenario.block_io, scenario.index_of(name)
    region = block_io.export // BLOCK_BYTES // scenario.cluster.nodes
    return {
        "incarnation": incarnation,
        "transport": block_io.transport,
        "first_block": index * region,
        "region_blocks": region,
        "queue_depth": block_io.queue_depth,
        "request_blocks": block_io.request // PAGE_BYTES,
        "dirty_rate": block_io.dirty_rate,
        "swaps": scenario.nic is not None,
    }
