"""Larger buffers for the sockets of Open vSwitch's userspace datapath.

ovs-vswitchd receives through one packet socket for each port and sends through one socket for all
ports (netdev-linux.c, ``af_packet_sock``). The sockets have the system's default buffers of
208 KiB, about 90 frames, and packets that do not fit are dropped. So one congested port costs
heartbeats that go through other ports, and 20 ms without a processor cost the packets that arrive
meanwhile. Open vSwitch has no setting for the size, and the system's default is read only when a
socket is made. But root may copy the descriptors of the running process, and raise the limits of
its sockets.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from reserve_agent.socket_options import SO_RCVBUFFORCE, SO_SNDBUFFORCE

_PIDFD_GETFD = 438
"""Number of the system call, the same on every architecture (Linux 5.6)."""

_libc = ctypes.CDLL(None, use_errno=True)


def _rows(packet_sockets: str) -> Iterator[tuple[int, str, int]]:
    """(protocol, interface index, inode) of each line of a /proc/net/packet."""
    for line in packet_sockets.splitlines()[1:]:
        fields = line.split()
        yield int(fields[3], 16), fields[4], int(fields[8])


def sender_inodes(packet_sockets: str) -> set[int]:
    """Inodes of packet sockets that only send, out of a /proc/net/packet.

    Such a socket has protocol 0 and no interface; a socket that receives is bound to one.
    """
    rows = _rows(packet_sockets)
    return {inode for protocol, index, inode in rows if protocol == 0 and index == "0"}


def _descriptors_of(pid: int, inodes: set[int]) -> Iterator[int]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            kind, _, inode = str(link.readlink()).partition(":")
            if kind == "socket" and int(inode.strip("[]")) in inodes:
                yield int(link.name)


def _borrow(pid: int, descriptor: int) -> socket.socket:
    process = os.pidfd_open(pid)
    try:
        copy = _libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
    finally:
        os.close(process)
    if copy < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return socket.socket(fileno=copy)


def _raise(pid: int, descriptor: int, size: int, read: int, force: int) -> bool:
    with _borrow(pid, descriptor) as borrowed:
        # Linux doubles the size that is set, and reports the doubled one.
        if borrowed.getsockopt(socket.SOL_SOCKET, read) < size:
            borrowed.setsockopt(socket.SOL_SOCKET, force, size // 2)
        return borrowed.getsockopt(socket.SOL_SOCKET, read) >= size


def _raise_all(choose: Callable[[str], set[int]], size: int, read: int, force: int) -> bool:
    rundir = Path(os.environ.get("OVS_RUNDIR", "/var/run/openvswitch"))
    try:
        pid = int((rundir / "ovs-vswitchd.pid").read_text())
        inodes = choose(Path("/proc/net/packet").read_text())
        raised = [_raise(pid, fd, size, read, force) for fd in _descriptors_of(pid, inodes)]
    except (OSError, ValueError):
        return False
    return bool(raised) and all(raised)


def raise_send_buffer(size: int) -> bool:
    """Let ovs-vswitchd have ``size`` bytes waiting in qdiscs; returns whether it has that now.

    This works only after ovs-vswitchd has sent a frame: it makes the socket for the first one. It
    lasts until ovs-vswitchd restarts.
    """
    return _raise_all(sender_inodes, size, socket.SO_SNDBUF, SO_SNDBUFFORCE)


def raise_receive_buffers(ports: Iterable[str], size: int) -> bool:
    """Let ``size`` bytes wait at each port for ovs-vswitchd; returns whether they may now."""
    wanted = {str(socket.if_nametoindex(port)) for port in ports}

    def receivers(packet_sockets: str) -> set[int]:
        rows = _rows(packet_sockets)
        return {inode for protocol, index, inode in rows if protocol and index in wanted}

    return _raise_all(receivers, size, socket.SO_RCVBUF, SO_RCVBUFFORCE)
