"""From a scenario to what a machine and its attendant are told. Pure, but for the paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from crunchbed.backends.common import configs, settings
from crunchbed.backends.common.live_run import LiveRun
from crunchbed.backends.machines import disk
from crunchbed.backends.machines.images import QEMU_CARDS, Image
from crunchbed.backends.machines.qemu import Accelerator, Card, Machine
from crunchbed.live.runs import CONSOLE
from crunchbed.run.world import STORAGE
from crunchbed.scenario.crunch import WritebackCrunch
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.sizing import needed_reserve, reserve_pages
from nodes.block.config import IscsiConfig
from nodes.block.transport import SUBSYSTEM
from nodes.corosync.config import CorosyncSettings
from nodes.guest.config import (
    AttendantConfig,
    GuestBurst,
    GuestDisk,
    GuestHeartbeat,
    LostTap,
)
from nodes.membership.detectors.settings import to_record
from reserve_agent.config_files import build
from reserve_agent.contract.packets import PAGE_BYTES
from topologies.layout import PREFIX_LENGTH
from topologies.node import ClusterNode
from topologies.tap import lost_tap_name

_GRACE_NS: Final = 20_000_000_000
"""Machines that boot at once are up within seconds of each other, but not within a heartbeat's."""
_POLL_NS: Final = 2_000_000
_PAGE_KIB: Final = PAGE_BYTES // 1024
_MIB: Final = 1024 * 1024
_LATER_PAGES: Final = {"crunchbed": 0, "corosync": 600}
"""What a membership takes after that: a corosync took up to 440 pages as other nodes joined it."""


def machine(
    run: LiveRun,
    node: ClusterNode,
    tap: str,
    image: Image,
    accelerator: Accelerator,
    *,
    with_shell: bool = False,
) -> Machine:
    """Return the machine that a node is; ``with_shell``: whether its guest has one."""
    memory, link = run.scenario.memory, node.links[0]
    return Machine(
        name=f"crunchbed-{run.run_id}-{node.name}",
        image=image,
        accelerator=accelerator,
        memory_mib=image.own_mib + memory.pages * PAGE_BYTES // _MIB,
        shared=run.of(node.name, "memory"),
        console=run.log(f"{node.name} console"),
        card=Card(memory.nic, tap, link.mac),
        words={
            "nic": QEMU_CARDS[memory.nic],
            "address": f"{link.ip}/{PREFIX_LENGTH}",
            # Corosync has the heartbeats' port, and the agent any other.
            "port": 0 if image.variant == "corosync" else run.scenario.heartbeat.port,
            "min_free_kib": reserve_pages(run.scenario) * _PAGE_KIB,
            **({"shell": 1} if with_shell else {}),
        },
        shell=run.state / f"{node.name}{CONSOLE}" if with_shell else None,
    )


def storage_machine(
    run: LiveRun,
    nodes: Mapping[str, ClusterNode],
    tap: str,
    image: Image,
    accelerator: Accelerator,
) -> Machine:
    """Return the machine that serves the run's disk over NVMe/TCP at the storage host's address.

    Its console is the log of the target.
    """
    host = nodes[STORAGE]
    macs = neighbours(nodes, STORAGE).items()
    return Machine(
        name=f"crunchbed-{run.run_id}-{STORAGE}",
        image=image,
        accelerator=accelerator,
        memory_mib=image.own_mib,
        shared=None,
        console=run.log(f"{STORAGE} target"),
        card=Card("virtio-net", tap, host.links[0].mac),
        words={
            "address": f"{host.address('storage')}/{PREFIX_LENGTH}",
            "port": run.scenario.block_io.port,
            "subsystem": SUBSYSTEM,
            "neighbours": ",".join(f"{address}={mac}" for address, mac in macs),
        },
        disk=run.state / configs.DISK,
        init="/storage-init",
    )


def attendant(run: LiveRun, nodes: Mapping[str, ClusterNode], name: str) -> AttendantConfig:
    """Return the configuration of a node's attendant; ``nodes``: every host of the network."""
    scenario, host = run.scenario, nodes[name]
    return AttendantConfig(
        node=name,
        run=run.run_id,
        scenario=scenario.name,
        memory=run.of(name, "memory"),
        socket=run.of(name, "agent"),
        history=run.history(name),
        fence=run.state / "fence",
        heartbeat=heartbeat(scenario, nodes, name),
        corosync=corosync(run, nodes, name),
        disk=guest_disk(scenario, nodes, name),
        policy=scenario.policy,
        memalloc=scenario.memalloc,
        computed=needed_reserve(scenario),
        neighbours=neighbours(nodes, name),
        ballast_above=ballast_above(scenario),
        burst=guest_burst(scenario),
        lost=LostTap(netns_pid=host.pid, name=lost_tap_name(host.links[0])),
        poll=min(_POLL_NS, scenario.heartbeat.interval // 10),
    )


def record(config: AttendantConfig) -> dict[str, Any]:
    """Return a configuration as its file has it: a detector's settings begin with its kind."""
    made = asdict(config)
    made["heartbeat"]["detector"] = to_record(config.heartbeat.detector)
    return made


def heartbeat(scenario: Scenario, nodes: Mapping[str, ClusterNode], name: str) -> GuestHeartbeat:
    """Return what a namespace's heartbeat daemon is told, as far as the attendant decides it."""
    told = configs.heartbeat(scenario, nodes, name, incarnation=0)
    wanted = {field.name for field in fields(GuestHeartbeat)} & told.keys()
    return build({key: told[key] for key in wanted} | {"grace_ns": _GRACE_NS}, GuestHeartbeat)


def corosync(run: LiveRun, nodes: Mapping[str, ClusterNode], name: str) -> CorosyncSettings | None:
    """Return what a node's corosync is told; None where the scenario has another membership."""
    if run.scenario.membership != "corosync":
        return None
    told = configs.corosync(run.scenario, run.run_id, nodes, name)
    return build(told, CorosyncSettings)


def guest_disk(scenario: Scenario, nodes: Mapping[str, ClusterNode], name: str) -> GuestDisk:
    """Return what a node writes all the time, at the rate at which its tasks dirty pages."""
    block_io = scenario.block_io
    writers, blocks = disk.writers(scenario), disk.request_blocks(scenario)
    return GuestDisk(
        address=nodes[STORAGE].address("storage"),
        port=block_io.port,
        first_block=disk.first_block(scenario, name),
        region_blocks=disk.region_blocks(scenario),
        request_blocks=blocks,
        writers=writers,
        pause=writers * blocks * 1_000_000_000 // block_io.dirty_rate,
        iscsi=iscsi(scenario),
        nvme=block_io.transport == "nvme-tcp",
        timeout=block_io.nbd.timeout,
    )


def iscsi(scenario: Scenario) -> IscsiConfig | None:
    """Return the session of every node; None where the transport is another."""
    if scenario.block_io.transport != "iscsi":
        return None
    return build(configs.iscsi_session(scenario), IscsiConfig)


def ballast_above(scenario: Scenario) -> int | None:
    """Return the pages above the high watermark that are left to a machine from its boot on.

    None: all, where no crunch comes. The pages that a task dirties come on top.
    """
    crunch = scenario.crunch
    if crunch is None:
        return None
    dirty = disk.dirty_pages(crunch) if isinstance(crunch, WritebackCrunch) else 0
    return settings.BALLAST_ABOVE + _LATER_PAGES[scenario.membership] + dirty


def guest_burst(scenario: Scenario) -> GuestBurst:
    """Return how a writeback crunch is made of pages that are swapped to the disk."""
    crunch = scenario.crunch
    if not isinstance(crunch, WritebackCrunch):
        return GuestBurst()
    return GuestBurst(
        buffered=crunch.form == "buffered",
        swap_pages=disk.swap_pages(scenario),
        dirty_pages=disk.dirty_pages(crunch),
        longest=scenario.phases.inject,
    )


def neighbours(nodes: Mapping[str, ClusterNode], name: str) -> dict[str, str]:
    """Return the hardware address of every other host by its IPv4 address."""
    links = (node.links[0] for other, node in nodes.items() if other != name)
    return {link.ip: link.mac for link in links}
