"""Programs that a cluster ejects a node for, if their packets come too late.

They are in user space, and mainline has no socket option that makes a socket memalloc ("user space"
in ``sockets.py``): in a crunch no packet for them may come from the reserve.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple


class Daemon(NamedTuple):
    """What hangs on a daemon."""

    carries: str
    patience: str  # how long others wait for it by default, as its documentation says
    by: Literal["socket", "disk", "corosync"] = "socket"  # how its messages go


DAEMONS: Final[Mapping[str, Daemon]] = {
    "corosync": Daemon("the membership's token", "3 s, and 0.65 s for each node from the third"),
    "pacemakerd": Daemon(
        "the cluster's decisions, over corosync", "as long as those of corosync", by="corosync"
    ),
    "pacemaker_remoted": Daemon(
        "the cluster's orders to a remote node", "as long as its monitor says"
    ),
    "sbd": Daemon("messages on the shared disk", "10 s, its watchdog 5 s", by="disk"),
    "dlm_controld": Daemon(
        "lock spaces, over corosync", "as long as those of corosync", by="corosync"
    ),
    "keepalived": Daemon("VRRP advertisements", "3 s and a skew under 1 s"),
    "etcd": Daemon("Raft heartbeats", "1 s (election-timeout)"),
    "patroni": Daemon("the leader's lease", "30 s"),
    "ctdbd": Daemon("keepalives between the nodes of CTDB", "25 s"),
    "ceph-mon": Daemon("the quorum's lease", "5 s"),
    "ceph-osd": Daemon("heartbeats between OSDs", "20 s (osd_heartbeat_grace)"),
    "glusterd": Daemon("pings of its clients", "42 s (network.ping-timeout)"),
    "kubelet": Daemon("the node's Lease", "50 s (40 s before 1.32)"),
    "sanlock": Daemon("leases on the shared disk", "80 s", by="disk"),
    "multipathd": Daemon("path checks of shared disks", "5 s (fast_io_fail)", by="disk"),
    "iscsid": Daemon("logins of iSCSI, on a socket that is memalloc only once bound", "120 s"),
    "bfdd": Daemon("BFD", "0.9 s"),
}
"""By the name of the process (``/proc/PID/comm``, of which the kernel keeps 15 characters)."""


def of_process(name: str) -> Daemon | None:
    """Return what hangs on a process; None for one that no cluster waits for."""
    return next((one for key, one in DAEMONS.items() if key[:15] == name), None)
