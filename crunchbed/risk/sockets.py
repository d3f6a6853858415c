"""Which users of the network have sockets that are memalloc (``SOCK_MEMALLOC``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from crunchbed.risk.reading import LINUX_6_1, Reading, linux, reading_for

Flagged = Literal["always", "as swap", "never"]
"""When a socket is memalloc; ``as swap``: while its file system holds a swap file."""
FLAGGED: Final[tuple[Flagged, ...]] = get_args(Flagged)


@dataclass(frozen=True)
class SocketUser:
    """A part of the kernel, or all of user space.

    Attributes:
        name: As findings name it.
        what: What it carries.
        readings: The line that flags the socket, or, where none does, the line that a flag would
            stand beside; oldest version first.
        copies: Whether a request is copied into pages of the socket on its way out; otherwise the
            pages that are written are sent themselves.
        note: What else is to be known.
    """

    name: str
    what: str
    readings: tuple[Reading, ...]
    copies: bool = True
    note: str = ""

    def reading(self, running: str) -> Reading:
        """Return the reading that stands for a running version."""
        return reading_for(self.readings, running)

    def flagged(self, running: str) -> Flagged:
        """Return when its sockets are memalloc."""
        rule = self.reading(running).rule
        return next(one for one in FLAGGED if one == rule)


_NBD = "sk_set_memalloc(sock->sk);"
_NOFS = "sk->sk_allocation = GFP_NOFS;"
_NOIO = "sk->sk_allocation = GFP_NOIO;"
_DRBD = "drivers/block/drbd/drbd_receiver.c"
_DRBD_9 = "drbd/drbd_transport_tcp.c"
_DRBD_FLAG = "sk_set_memalloc(dsocket->sk);"

_USERS: Final = (
    SocketUser(
        "nbd",
        "block device, client of NBD",
        linux("always", "drivers/block/nbd.c", _NBD, 1228, 1282),
        note="the sender runs with PF_MEMALLOC and copies into its send buffer",
    ),
    SocketUser(
        "iscsi_tcp",
        "block device, software initiator of iSCSI",
        linux("always", "drivers/scsi/iscsi_tcp.c", "sk_set_memalloc(sk);", 746, 746),
        copies=False,
        note="flagged when iscsid binds the connection: a login goes over a socket that is not",
    ),
    SocketUser(
        "nvme-tcp",
        "block device, host of NVMe over TCP",
        linux(
            *("always", "drivers/nvme/host/tcp.c", "sk_set_memalloc(queue->sock->sk);"),
            *(1665, 1939),
        ),
        copies=False,
    ),
    SocketUser(
        "wireguard",
        "tunnel",
        linux("always", "drivers/net/wireguard/socket.c", _NBD, 346, 346),
        note="nobody bounds who sends to its port; the sockets inside the tunnel need flags of "
        "their own",
    ),
    SocketUser(
        "nfs",
        "file system, by sunrpc",
        linux("as swap", "net/sunrpc/xprtsock.c", "sk_set_memalloc(xs->inet);", 2041, 2143),
        note="swapon of a file on NFS sets the flag",
    ),
    SocketUser(
        "drbd",
        "block device, replicated",
        (
            Reading("8.4.11", "never", _DRBD, 1030, _NOIO, f"Linux {LINUX_6_1}, drbd"),
            Reading("9.2.12", "never", _DRBD_9, 1319, _NOIO, "drbd"),
            Reading("9.2.13", "always", _DRBD_9, 1352, _DRBD_FLAG, "drbd"),
            Reading("9.3.3", "always", _DRBD_9, 1388, _DRBD_FLAG, "drbd"),
        ),
        copies=False,
        note="8.4 is the one in the kernel's tree; 9 is LINBIT's, flagged from 9.2.13 on",
    ),
    SocketUser(
        "rbd",
        "block device of Ceph, by libceph",
        linux("never", "net/ceph/messenger.c", _NOFS, 448, 452),
        copies=False,
    ),
    SocketUser(
        "ceph",
        "file system of Ceph, by libceph",
        linux("never", "net/ceph/messenger.c", _NOFS, 448, 452),
        copies=False,
    ),
    SocketUser(
        "cifs",
        "file system, SMB",
        linux("never", "fs/smb/client/connect.c", _NOFS, 3076, 3200),
        note="its swap_activate has the call as a TODO (fs/smb/client/file.c:5334 of 6.1.192, "
        ":3253 of 6.12.117)",
    ),
    SocketUser(
        "9p",
        "file system, 9P over TCP",
        linux("never", "net/9p/trans_fd.c", _NOIO, 877, 875),
    ),
    SocketUser(
        "aoe",
        "block device, ATA over Ethernet",
        linux("never", "drivers/block/aoe/aoenet.c", "dev_add_pack(&aoe_pt);", 213, 210),
        copies=False,
        note="has no socket: its EtherType is not among those that pass from the reserve "
        "(net/core/dev.c:5393 of 6.1.192, :5606 of 6.12.117)",
    ),
    SocketUser(
        "dlm",
        "locks of GFS2 and cluster LVM",
        linux("never", "fs/dlm/lowcomms.c", _NOFS, 1708, 1784),
    ),
    SocketUser(
        "o2net",
        "heartbeats and locks of OCFS2",
        linux("never", "fs/ocfs2/cluster/tcp.c", "sk->sk_allocation = GFP_ATOMIC;", 2052, 2063),
    ),
    SocketUser(
        "nvmet-tcp",
        "target of NVMe over TCP",
        linux(
            *("never", "drivers/nvme/target/tcp.c", "sk_data_ready = nvmet_tcp_data_ready;"),
            *(1678, 1826),
        ),
    ),
    SocketUser(
        "user space",
        "every socket of a process: corosync, sbd, etcd, targets",
        linux("never", "net/core/sock.c", "EXPORT_SYMBOL_GPL(sk_set_memalloc);", 307, 308),
        note="the flag is for modules of the kernel; no setsockopt of mainline sets it",
    ),
)

SOCKET_USERS: Final = {one.name: one for one in _USERS}
"""By name."""
