"""From a scenario to what its nodes' reserves must carry."""

from __future__ import annotations

from typing import Protocol

from crunchbed.scenario.block_io import MACHINE_WRITES, BlockIo
from crunchbed.scenario.cluster import Cluster
from crunchbed.scenario.profiles import kernel_on
from crunchbed.scenario.section import Memory
from nodes.membership.datagram import MAX_NODES
from reserve_agent.model.profiles.kernel import Kernel
from reserve_agent.sizing import Term, Throttled, computed_pages, terms

_INTERFACES = 1
_TCP_FRAME_BYTES = 14 + 20 + 32
_NBD_HEADER_BYTES = 28
_NBD_REPLY_BYTES = 16
_ISCSI_PDU_BYTES = 48
_ISCSI_SEGMENT_BYTES = 8192
"""The MaxRecvDataSegmentLength that tgtd declares: what one PDU of a write carries."""
_NVME_COMMAND_BYTES = 72
_NVME_RESPONSE_BYTES = 24
_NVME_IN_CAPSULE_BYTES = 16384
"""What nvmet-tcp takes together with the command; it asks for a longer write by a PDU (R2T)."""
_HEARTBEAT_FRAME_BYTES = 14 + 20 + 8 + 40
_BYTES_PER_MEMBER = 2
# Of each peer of a corosync: ping, pong, a token or join message, and that sent again. The probes
# of the path's MTU, a few a minute, are as long as a frame can be.
_KNET_AT_ONCE = 4
_KNET_FRAME_BYTES = 14 + 1500


class Sized(Protocol):
    """The sections of a scenario that decide its nodes' reserves."""

    @property
    def memory(self) -> Memory:
        """The pages."""

    @property
    def block_io(self) -> BlockIo:
        """The writes."""

    @property
    def cluster(self) -> Cluster:
        """The number of nodes."""

    @property
    def memalloc(self) -> tuple[str, ...]:
        """The classes whose sockets are memalloc."""

    @property
    def membership(self) -> str:
        """The membership protocol."""


def throttled(scenario: Sized) -> list[Throttled]:
    """Return the memalloc sockets of one node, with the bounds that the run keeps."""
    found = []
    if "block-io" in scenario.memalloc:
        on_machines = scenario.cluster.backend == "machines"
        found.append(_block_io(scenario.block_io, MACHINE_WRITES if on_machines else None))
    if "heartbeat" in scenario.memalloc:
        named = scenario.cluster.nodes if scenario.cluster.nodes <= MAX_NODES else 0
        frame = _HEARTBEAT_FRAME_BYTES + _BYTES_PER_MEMBER * named
        at_once = scenario.cluster.nodes - 1
        if scenario.membership == "corosync":
            frame, at_once = _KNET_FRAME_BYTES, at_once * _KNET_AT_ONCE
        found.append(Throttled("heartbeats", at_once, frame, frame, streamed=False))
    return found


def _block_io(block_io: BlockIo, most: int | None) -> Throttled:
    """Return the bounds of the socket that carries writes and their replies.

    ``most``: writes under way, whatever the queue depth; None: no such bound. A machine's swap goes
    through the same socket, whose send buffer of 64 KiB holds four requests of 16 KiB.

    Targets of iSCSI and NVMe/TCP ask for the rest of a write (R2T) before they acknowledge the
    write; the two replies come one after the other, and are of one size.
    """
    if block_io.transport == "iscsi":
        pdus = -(-block_io.request // _ISCSI_SEGMENT_BYTES)
        header, reply = pdus * _ISCSI_PDU_BYTES, _ISCSI_PDU_BYTES
    elif block_io.transport == "nvme-tcp":
        asked_for = block_io.request > _NVME_IN_CAPSULE_BYTES
        header = _NVME_COMMAND_BYTES + _NVME_RESPONSE_BYTES * asked_for
        reply = _NVME_RESPONSE_BYTES
    else:
        header, reply = _NBD_HEADER_BYTES, _NBD_REPLY_BYTES
    request = block_io.request + header
    depth = block_io.queue_depth if most is None else min(block_io.queue_depth, most)
    return Throttled("block I/O", depth, request, _TCP_FRAME_BYTES + reply)


def kernel(scenario: Sized) -> Kernel:
    """Return the kernel profile that says which share of the reserve others may take."""
    return kernel_on(scenario.memory, scenario.cluster.backend)


def size(scenario: Sized) -> list[Term]:
    """Return the pages that a node's memalloc sockets need for themselves, term by term."""
    return terms(throttled(scenario), _INTERFACES)


def needed_reserve(scenario: Sized) -> int:
    """Return the computed reserve: the smallest that leaves these pages to memalloc sockets."""
    return computed_pages(throttled(scenario), _INTERFACES, kernel(scenario).reserved)


def reserve_pages(scenario: Sized) -> int:
    """Return the reserve that each node gets: as the scenario says, or as computed."""
    reserve = scenario.memory.reserve
    return needed_reserve(scenario) if reserve == "auto" else reserve


def shortage(scenario: Sized) -> str | None:
    """Return a warning with both figures where the reserve is smaller than computed."""
    needed = needed_reserve(scenario)
    given = reserve_pages(scenario)
    if given >= needed:
        return None
    return f"the reserve has {given} pages, {needed} are needed (`crunchbed reserve size`)"
