"""One cable, a hooked node at one end and a peer at the other: the smallest real network."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nodes.cgroup import cgroup2_root
from reserve_agent.contract.packets import SO_MEMALLOC, Policy
from reserve_agent.hooks.layout import Window
from reserve_agent.hooks.loader import HookSettings, NodeHooks
from reserve_agent.hooks.profile import Constants
from reserve_agent.netns import network_namespace_of
from reserve_agent.pool_handle import PoolHandle

NODE, PEER = "10.99.0.1", "10.99.0.2"
NODE6, PEER6 = "fd00:99::1", "fd00:99::2"


@contextmanager
def namespace() -> Iterator[int]:
    """A network namespace, named by the pid of a process that holds it."""
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as holder:
        try:
            home = Path("/proc/self/ns/net").readlink()
            while Path(f"/proc/{holder.pid}/ns/net").readlink() == home:
                time.sleep(0.001)
            yield holder.pid
        finally:
            holder.kill()


@contextmanager
def inside_cgroup(path: Path) -> Iterator[None]:
    """Sockets made in the block belong to the cgroup."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next(line.split("::", 1)[1] for line in lines if line.startswith("0::"))
    home = cgroup2_root() / own.lstrip("/")
    (path / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (home / "cgroup.procs").write_text(str(os.getpid()))


def get_memalloc(sock: socket.socket) -> bool:
    """Whether ``sock`` may draw on the reserve.

    Raises:
        OSError: ENOPROTOOPT where no hook answers.
    """
    return sock.getsockopt(socket.SOL_SOCKET, SO_MEMALLOC) != 0


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Wire:
    """See ``wire``; ``hooks`` and ``pool`` are the node's."""

    def __init__(self, node: int, peer: int, cgroup: Path, hooks: NodeHooks) -> None:
        self.node = node
        self.peer = peer
        self.cgroup = cgroup
        self.hooks = hooks
        self.pool = PoolHandle.of(hooks)
        self.pool.resize(4096, 256)
        self.pool.reset(1024)

    def node_socket(self, kind: int, family: int = socket.AF_INET) -> socket.socket:
        """A socket of the node: in its namespace and its cgroup."""
        with network_namespace_of(self.node), inside_cgroup(self.cgroup):
            made = socket.socket(family, kind)
        made.settimeout(2.0)
        return made

    def peer_socket(self, kind: int, family: int = socket.AF_INET) -> socket.socket:
        """A socket of the peer."""
        with network_namespace_of(self.peer):
            made = socket.socket(family, kind)
        made.settimeout(2.0)
        return made

    def set_policy(self, policy: Policy) -> None:
        """Switch live."""
        self.hooks.config.policy = policy

    @contextmanager
    def pressure(self, level: int | None = None) -> Iterator[None]:
        """No page for a normal task in the block; ``level`` pages are free, R by default."""
        config, pool = self.hooks.config, self.hooks.pool
        now = time.monotonic_ns()
        window = Window(now, now + 60_000_000_000, int(pool.reserve) if level is None else level)
        self.hooks.windows.entries[int(config.windows)] = window
        config.windows += 1
        self.pool.tick()
        try:
            yield
        finally:
            self.hooks.windows.entries[int(config.windows) - 1].end = time.monotonic_ns()
            self.pool.tick()

    def interface_packets(self) -> tuple[int, int]:
        """(received, sent) by the node's interface, as the kernel counts them."""
        for line in Path(f"/proc/{self.node}/net/dev").read_text().splitlines():
            name, _, figures = line.partition(":")
            if name.strip() == "eth0":
                fields = figures.split()
                return int(fields[1]), int(fields[9])
        raise AssertionError("no eth0")


@contextmanager
def cable(mtu: int = 1500) -> Iterator[tuple[int, int, Path]]:
    """A node and a peer, both ends up, neighbours known, IPv6 quiet; no hooks.

    Yields a pid in the node's namespace, one in the peer's, and the node's cgroup.
    """
    name = f"w{uuid.uuid4().hex[:6]}"
    with ExitStack() as stack:
        node = stack.enter_context(namespace())
        peer = stack.enter_context(namespace())
        _ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b")
        for end, pid, own, own6, far in (
            ("a", node, NODE, NODE6, PEER),
            ("b", peer, PEER, PEER6, NODE),
        ):
            _ip("link", "set", f"{name}{end}", "netns", str(pid), "name", "eth0")
            _set_up(pid, own, own6, far, mtu)
        cgroup = cgroup2_root() / f"crunchbed-test-{name}"
        cgroup.mkdir()
        stack.callback(_remove, cgroup)
        yield node, peer, cgroup


@contextmanager
def wire(settings: HookSettings, mtu: int = 1500, fixed: Constants | None = None) -> Iterator[Wire]:
    """A cable with these hooks at the node's end; ``fixed``: of other profiles."""
    with cable(mtu) as (node, peer, cgroup), ExitStack() as stack:
        hooks = NodeHooks(fixed)
        stack.callback(hooks.close)
        hooks.configure(settings)
        hooks.attach(netns_pid=node, interfaces=["eth0"], cgroup=cgroup)
        yield Wire(node, peer, cgroup, hooks)


def _set_up(pid: int, own: str, own6: str, far: str, mtu: int) -> None:
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net"]
    mac = "02:00:00:00:00:" + own.rsplit(".", 1)[1].zfill(2)
    far_mac = "02:00:00:00:00:" + far.rsplit(".", 1)[1].zfill(2)
    for words in (
        ["ip", "link", "set", "lo", "up"],
        ["sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0"],
        ["sysctl", "-qw", "net.ipv6.conf.eth0.router_solicitations=0"],
        ["ip", "link", "set", "eth0", "address", mac, "mtu", str(mtu), "up"],
        ["ip", "address", "add", f"{own}/24", "dev", "eth0"],
        ["ip", "address", "add", f"{own6}/64", "dev", "eth0", "nodad"],
        ["ip", "neighbour", "replace", far, "lladdr", far_mac, "dev", "eth0", "nud", "permanent"],
        ["ethtool", "-K", "eth0", "tx", "off"],
    ):
        subprocess.run([*enter, *words], check=True, stdout=subprocess.DEVNULL)


def _remove(cgroup: Path) -> None:
    with contextlib.suppress(OSError):
        cgroup.rmdir()
