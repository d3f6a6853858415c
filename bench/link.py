"""What the measurements of block I/O share: the cable, the target, fio, and what is in their way.

Each has a pair of namespaces, without offloads as a cluster's nodes, with nbdkit's memory plugin on
the peer and fio on the node.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nodes.block.target import is_listening, nbdkit_argv
from nodes.process import Process, entering, spawn
from nodes.waiting import wait_until
from reserve_agent.contract.packets import (
    SOCK_MEMALLOC,
    SOCK_WRITEBACK,
    PacketClass,
    Policy,
    PortRule,
)
from reserve_agent.errors import CrunchbedError
from reserve_agent.hooks.loader import HookSettings, NodeHooks
from reserve_agent.hooks.profile import constants_of
from reserve_agent.model.border import NS_PER_PAGE
from reserve_agent.model.profiles.proposal_2005 import PROPOSAL_2005
from reserve_agent.netns import network_namespace_of
from reserve_agent.pool_handle import PoolHandle
from tests.system.wire import PEER

GOAL_LOST_PERCENT: Final = 2.0
BARE, HOOKS, NFQUEUE = "no hooks", "hooks", "nfqueue"
PORT: Final = 10809
_TARGET_BYTES: Final = 64 << 20
_PROGRAM: Final = Path(__file__).resolve().parents[1] / "build" / "nfqueue"
_QUEUE: Final = "7"
_SETTINGS: Final = HookSettings(
    Policy.MEMALLOC,
    rules=(PortRule(PORT, 6, PacketClass.BLOCK_IO, SOCK_MEMALLOC | SOCK_WRITEBACK),),
)
_POOL_PAGES, _RESERVE_PAGES = 16384, 512


@dataclass(frozen=True)
class Ends:
    """The two ends of a cable, by a process in each namespace, and the node's cgroup."""

    node: int
    peer: int
    cgroup: Path

    def in_node(self, argv: Sequence[str]) -> None:
        """Run a command in the node's namespace."""
        run_in(self.node, argv)

    def without_offloads(self) -> None:
        """As the interfaces of a cluster's nodes."""
        for end in (self.node, self.peer):
            run_in(end, ["ethtool", "-K", "eth0", "tso", "off", "gso", "off", "gro", "off"])


def run_in(pid: int, argv: Sequence[str]) -> None:
    """Run a command in the network namespace of a process."""
    subprocess.run(entering(argv, netns_pid=pid), check=True, stdout=subprocess.DEVNULL)


def at(pid: int) -> dict[str, Any]:
    """The arguments of ``spawn`` for that namespace."""
    return {"netns_pid": pid, "cgroup": None}


def fio_argv(seconds: float, *more: str) -> list[str]:
    """Sequential writes of 16 KiB, 16 at a time."""
    return [
        *("fio", "--name=bench", "--ioengine=nbd", f"--uri=nbd://{PEER}:{PORT}", "--thread"),
        *("--rw=write", "--bs=16384", "--iodepth=16", f"--size={_TARGET_BYTES}"),
        *("--time_based", f"--runtime={seconds}", *more),
    ]


def listen(peer: int, scratch: Path) -> Process:
    """Start the target, and wait until it listens."""
    argv = nbdkit_argv(PEER, PORT, "memory", str(_TARGET_BYTES))
    target = spawn(argv, name="nbdkit", log=scratch / "nbdkit", **at(peer))

    def listening() -> bool:
        with network_namespace_of(peer):
            return is_listening(PEER, PORT)

    wait_until(listening, 5, "nbdkit listens")
    return target


class HooksInTheWay:
    """The hooks of the node, loaded once; ``ns_per_page`` 1: with a border above all pages."""

    def __init__(self, ends: Ends, ns_per_page: int = NS_PER_PAGE) -> None:
        fixed = constants_of(PROPOSAL_2005)
        fixed.ns_per_page = ns_per_page
        self._hooks, self._ends = NodeHooks(fixed), ends
        self._hooks.configure(_SETTINGS)
        self._pool = PoolHandle.of(self._hooks)
        self._pool.resize(_POOL_PAGES, _RESERVE_PAGES)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Attach them, with books as after a boot; raise if they drop a packet meanwhile."""
        self._pool.reset(0)
        node = self._ends.node
        self._hooks.attach(netns_pid=node, interfaces=["eth0"], cgroup=self._ends.cgroup)
        try:
            yield
            rows = self._hooks.counters()
            if not rows or any(not reason.passed for _, _, reason in rows):
                raise CrunchbedError(f"the hooks counted {rows}: not what is to be measured")
        finally:
            self._hooks.detach(netns_pid=node, interfaces=["eth0"])

    def close(self) -> None:
        """Unload them."""
        self._hooks.close()


class QueueInTheWay:
    """Every packet, in and out, goes through a program that gives a verdict."""

    def __init__(self, ends: Ends, scratch: Path) -> None:
        self._ends, argv = ends, [str(_PROGRAM), _QUEUE]
        self._loop = spawn(argv, name="nfqueue", log=scratch / "nfqueue", **at(ends.node))
        self.pid = self._loop.pid
        wait_until(lambda: self._loop.last_words() == "ready", 5, "the verdict loop listens")

    def _rules(self, action: str) -> None:
        for chain, option in (("INPUT", "-i"), ("OUTPUT", "-o")):
            rule = ["iptables", "-w", action, chain, option, "eth0", "-j", "NFQUEUE"]
            self._ends.in_node([*rule, "--queue-num", _QUEUE])

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Add the rules; raise if the program ends meanwhile."""
        self._rules("-A")
        try:
            yield
            if self._loop.poll() is not None:
                raise CrunchbedError(f"the verdict loop ended: {self._loop.last_words()}")
        finally:
            self._rules("-D")

    def close(self) -> None:
        """End it."""
        self._loop.kill()


def in_the_way(variant: str, ends: Ends, scratch: Path) -> HooksInTheWay | QueueInTheWay:
    """What is in the way under a variant other than ``BARE``; loaded, not attached."""
    return HooksInTheWay(ends) if variant == HOOKS else QueueInTheWay(ends, scratch)
