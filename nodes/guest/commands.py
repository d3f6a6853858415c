"""From settings to the bodies of commands. Pure."""

from __future__ import annotations

import socket
import uuid

from nodes.block.config import IscsiConfig
from nodes.block.transport import SUBSYSTEM, TARGET_NAME
from nodes.guest.config import GuestBurst, GuestDisk
from nodes.guest.layout import BALLAST_NONE, DirtyForm, Kind, Memalloc, Side, Socket
from nodes.guest.messages import (
    Ballast,
    Connect,
    Dirty,
    Flag,
    FlagPort,
    Level,
    Login,
    Neighbour,
    Nvme,
    Reserve,
    Sink,
    Swap,
    Write,
)
from nodes.guest.ring import network_address, network_port
from nodes.guest.scripts import Ask
from reserve_agent.contract.packets import PAGE_BYTES, PacketClass
from reserve_agent.errors import BadInput

_SECOND = 1_000_000_000
_MS = 1_000_000
_US = 1000
_MAC_BYTES = 6
_MOST_US = (1 << 32) - 1
_SINK_BYTES = 1 << 30
"""More than a guest has: with the kernel's own buffer a reader holds about 52 pages."""


def neighbour(address: str, mac: str = "") -> Ask:
    """Set a permanent neighbour; without ``mac`` its entry is deleted."""
    octets = bytes.fromhex(mac.replace(":", "")) if mac else bytes(_MAC_BYTES)
    if len(octets) != _MAC_BYTES:
        raise BadInput(f"expected a MAC address, got {mac!r}")
    body = Neighbour(address=network_address(address))
    body.mac[:] = octets
    return Ask(Kind.NEIGHBOUR, body)


def ballast(above: int | None) -> Ask:
    """Take pages away for good, down to so many above the high watermark; None: give them back."""
    return Ask(Kind.BALLAST, Ballast(above=BALLAST_NONE if above is None else above))


def flag_heartbeats(policy: str, classes: tuple[str, ...]) -> Ask:
    """Flag the socket of heartbeats, or take its flag away, as the policy wants it.

    Its sender must not wait for memory.
    """
    flagged = _flagged(PacketClass.HEARTBEAT, policy, classes)
    value = Memalloc.NOWAIT if flagged else Memalloc.OFF
    return Ask(Kind.FLAG, Flag(socket=Socket.HEARTBEAT, value=value))


def flag_corosync(port: int, policy: str, classes: tuple[str, ...]) -> Ask:
    """Flag corosync's sockets, as the socket of heartbeats would be; ``port`` is theirs."""
    flagged = _flagged(PacketClass.HEARTBEAT, policy, classes)
    value = Memalloc.NOWAIT if flagged else Memalloc.OFF
    return flag_port(socket.IPPROTO_UDP, Side.LOCAL, port, value)


def flag_disk(disk: GuestDisk, policy: str, classes: tuple[str, ...]) -> Ask:
    """Flag the kernel's socket for the block device, or take its flag away.

    The kernel flags it by itself, and its sender never waits (PF_MEMALLOC). The agent has the
    socket of NBD alone; others, which are made again without it, are known by the target's port.
    """
    value = Memalloc.ON if _flagged(PacketClass.BLOCK_IO, policy, classes) else Memalloc.OFF
    if disk.transport != "nbd":
        return flag_port(socket.IPPROTO_TCP, Side.REMOTE, disk.port, value)
    return Ask(Kind.FLAG, Flag(socket=Socket.DISK, value=value))


def _flagged(cls: PacketClass, policy: str, classes: tuple[str, ...]) -> bool:
    return policy == "memalloc" and cls.label in classes


def flag_port(protocol: int, side: Side, port: int, value: Memalloc) -> Ask:
    """Flag the sockets of a port, of any program and of the kernel, or take their flags away.

    Args:
        protocol: ``socket.IPPROTO_TCP`` or ``socket.IPPROTO_UDP``.
        side: Whether the port is the socket's own, its peer's, or either.
        port: The port's number.
        value: NOWAIT for a program that must not wait for memory when it sends; ON for the kernel,
            which never does.
    """
    body = FlagPort(protocol=protocol, side=side, port=network_port(port), value=value)
    return Ask(Kind.FLAG_PORT, body)


def connect(disk: GuestDisk, node: str) -> Ask:
    """Make the block device; ``node`` is who the target is told to talk with."""
    if disk.iscsi is not None:
        return _login(disk, disk.iscsi, node)
    if disk.nvme:
        return _nvme(disk, node)
    body = Connect(
        address=network_address(disk.address),
        port=network_port(disk.port),
        timeout_s=_seconds(disk.timeout),
        send_buffer=disk.send_buffer,
        connect_ms=disk.connect_timeout // _MS,
        export_name=disk.export.encode(),
    )
    return Ask(Kind.CONNECT, body)


def _login(disk: GuestDisk, session: IscsiConfig, node: str) -> Ask:
    user, secret = session.chap or ("", "")
    replacement = session.replacement_timeout
    body = Login(
        address=network_address(disk.address),
        port=network_port(disk.port),
        login_timeout_s=_seconds(session.login_timeout),
        noop_interval_s=_seconds(session.noop_out_interval),
        noop_timeout_s=_seconds(session.noop_out_timeout),
        replacement_timeout_s=-1 if replacement is None else _seconds(replacement),
        initiator=f"{TARGET_NAME.partition(':')[0]}:{node}".encode(),
        target=TARGET_NAME.encode(),
        user=user.encode(),
        secret=secret.encode(),
    )
    return Ask(Kind.LOGIN, body)


def _nvme(disk: GuestDisk, node: str) -> Ask:
    body = Nvme(
        address=network_address(disk.address),
        port=network_port(disk.port),
        subsystem=SUBSYSTEM.encode(),
        host=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{node}.crunchbed.invalid")).encode(),
    )
    return Ask(Kind.NVME, body)


def write(disk: GuestDisk, node: int, incarnation: int) -> Ask:
    """Have all writers begin; ``node``: index in the stamps of blocks."""
    body = Write(
        writers=disk.writers,
        pause_us=disk.pause // _US,
        blocks=disk.request_blocks,
        node=node,
        incarnation=incarnation,
        first_block=disk.first_block,
        range_blocks=disk.region_blocks,
    )
    return Ask(Kind.WRITE, body)


def stop_writing() -> Ask:
    """Have all writers end after the write that is under way."""
    return Ask(Kind.WRITE, Write())


def swap(pages: int) -> Ask:
    """Swap to the first pages of the block device; 0: do not any more."""
    return Ask(Kind.SWAP, Swap(pages=pages))


def dirty(pages: int, *, buffered: bool = False) -> Ask:
    """Have a task dirty anonymous pages and keep them, or write to the device; 0: give them up."""
    form = DirtyForm.BUFFERED if buffered else DirtyForm.ANONYMOUS
    return Ask(Kind.DIRTY, Dirty(pages=pages, form=form))


def demand(burst: GuestBurst, pages: int, begin_ns: int) -> Ask:
    """Take pages as fast as the kernel frees them; ``begin_ns`` by the guest's clock."""
    body = Level(
        begin_ns=begin_ns,
        hold_us=_us(burst.longest),
        refill_us=_us(burst.refill),
        level_milli=burst.level_milli,
        demand=pages,
    )
    return Ask(Kind.LEVEL, body)


def level(begin_ns: int, hold_ns: int, milli: int, refill_ns: int, *, drain: bool) -> Ask:
    """Hold a level of so many thousandths of min; ``begin_ns`` by the guest's clock."""
    body = Level(
        begin_ns=begin_ns,
        hold_us=_us(hold_ns),
        refill_us=_us(refill_ns),
        level_milli=milli,
        drain=int(drain),
    )
    return Ask(Kind.LEVEL, body)


def sink(port: int) -> Ask:
    """Have a socket that nobody reads and that holds whatever comes; 0: close it."""
    return Ask(Kind.SINK, Sink(port=network_port(port), receive_buffer=_SINK_BYTES))


def flag_sink() -> Ask:
    """Flag that socket too, although nobody throttles it."""
    return Ask(Kind.FLAG, Flag(socket=Socket.SINK, value=Memalloc.ON))


def reserve(pages: int) -> Ask:
    """Give the kernel another reserve."""
    return Ask(Kind.RESERVE, Reserve(kib=pages * PAGE_BYTES // 1024))


def _seconds(ns: int) -> int:
    return -(-ns // _SECOND)


def _us(ns: int) -> int:
    return min(-(-ns // _US), _MOST_US)
