"""The send buffer that all ports of Open vSwitch's userspace datapath share.

ovs-vswitchd sends through one packet socket (netdev-linux.c, ``af_packet_sock``). Its buffer,
net.core.wmem_default or 208 KiB, counts what waits in the ports' qdiscs and is full with about
90 frames: one congested port, and the heartbeats through all others are dropped too. There
is no setting for it, and the default is looked at only when the daemon first sends. Root
may borrow the descriptor, though, and raise the limit on the living socket.
"""

from __future__ import annotations

import ctypes
import os
import socket
from contextlib import suppress
from pathlib import Path

_PIDFD_GETFD = 438
"""Number of the system call, the same on every architecture (Linux 5.6)."""

_SO_SNDBUFFORCE = 32
_libc = ctypes.CDLL(None, use_errno=True)


def sender_inodes(packet_sockets: str) -> set[int]:
    """Inodes of packet sockets that only send, out of a /proc/net/packet.

    Those have protocol 0 and no interface; what receives is bound to one.
    """
    rows = [line.split() for line in packet_sockets.splitlines()[1:]]
    return {int(row[8]) for row in rows if int(row[3], 16) == 0 and row[4] == "0"}


def _descriptor_of(pid: int, inodes: set[int]) -> int | None:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            kind, _, inode = str(link.readlink()).partition(":")
            if kind == "socket" and int(inode.strip("[]")) in inodes:
                return int(link.name)
    return None


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


def raise_send_buffer(size: int) -> bool:
    """Let ovs-vswitchd have ``size`` bytes in qdiscs; stays so until it restarts.

    Only once it has sent a frame: before that it has no such socket.

    Returns:
        Whether its buffer is at least that large now.
    """
    rundir = Path(os.environ.get("OVS_RUNDIR", "/var/run/openvswitch"))
    try:
        pid = int((rundir / "ovs-vswitchd.pid").read_text())
        inodes = sender_inodes(Path("/proc/net/packet").read_text())
        descriptor = _descriptor_of(pid, inodes)
        if descriptor is None:
            return False
        with _borrow(pid, descriptor) as sender:
            # Linux takes half of a size and reports the whole.
            if sender.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < size:
                sender.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size // 2)
            return sender.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= size
    except (OSError, ValueError):
        return False
