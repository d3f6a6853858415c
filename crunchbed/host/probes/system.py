"""Probes of files, tools, modules, mounts; of the network, in a namespace that ends with them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crunchbed.host.probes.machine import NOT_TRIED, Machine, Seen
from nodes.cgroup import cgroup2_root
from reserve_agent.errors import MissingRequirement

_MIB: Final = 1 << 20

Probe = Callable[[Machine], Seen]


def root(machine: Machine) -> Seen:
    """Whether this is root."""
    uid = machine.euid()
    return Seen(uid == 0, f"user id {uid}")


def file(path: str) -> Probe:
    """Whether a file of the machine can be read."""
    return lambda machine: Seen((machine.root / path.lstrip("/")).exists(), path)


def tool(name: str) -> Probe:
    """Whether a program is installed."""

    def probe(machine: Machine) -> Seen:
        path = machine.which(name)
        return Seen(path is not None, path or f"no {name} in the path")

    return probe


def library(name: str) -> Probe:
    """Whether a shared library can be loaded."""

    def probe(machine: Machine) -> Seen:
        problem = machine.loadable(name)
        return Seen(problem is None, problem or name)

    return probe


def module(name: str) -> Probe:
    """Whether this Python has a module (the system's packages are seen through .venv)."""
    return lambda machine: Seen(machine.importable(name), f"Python module {name}")


@dataclass(frozen=True)
class Room:
    """Whether there is room for so many bytes below a path."""

    path: Path
    needed: int

    def __call__(self, machine: Machine) -> Seen:
        """Ask the disk, or that of the nearest parent that exists."""
        free = machine.free_bytes(machine.root / self.path.relative_to("/"))
        if free is None:
            return Seen(present=True, detail=f"{self.path} has no limit")
        detail = (
            f"{self.path} has {free // _MIB} MiB free, {-(-self.needed // _MIB)} MiB are needed"
        )
        return Seen(free >= self.needed, detail)


def bpffs(machine: Machine) -> Seen:
    """Whether a BPF file system is mounted where objects get pinned."""
    mounts = (line.split()[1:3] for line in machine.mounts.read_text().splitlines())
    return Seen(["/sys/fs/bpf", "bpf"] in mounts, "/sys/fs/bpf")


def cgroup2(machine: Machine) -> Seen:
    """Where the cgroup v2 hierarchy is."""
    try:
        return Seen(present=True, detail=str(cgroup2_root(machine.mounts)))
    except MissingRequirement:
        return Seen(present=False, detail="not mounted")


def memory_cgroup(machine: Machine) -> Seen:
    """Which cgroup version has the memory controller."""
    for line in machine.mounts.read_text().splitlines():
        _source, target, kind, options, *_ = line.split()
        if kind == "cgroup" and "memory" in options.split(","):
            return Seen(present=True, detail=f"version 1, {target}")
        if kind == "cgroup2":
            controllers = machine.root / Path(target).relative_to("/") / "cgroup.controllers"
            if controllers.exists() and "memory" in controllers.read_text().split():
                return Seen(present=True, detail=f"version 2, {target}")
    return Seen(present=False, detail="in no hierarchy")


def sctp(_machine: Machine) -> Seen:
    """Whether the kernel opens an SCTP socket."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError as error:
        return Seen(present=False, detail=(error.strerror or str(error)).lower())
    return Seen(present=True, detail="socket opened")


def in_new_namespace(*argv: str) -> Probe:
    """Whether a command works in an empty network namespace of its own."""

    def probe(machine: Machine) -> Seen:
        if machine.euid() != 0:
            return NOT_TRIED
        answer = machine.run(("unshare", "--net", *argv))
        return Seen(answer.ok, "made one" if answer.ok else answer.reason)

    return probe


def qdisc(*kind: str) -> Probe:
    """Whether the kernel has a queueing discipline."""
    return in_new_namespace("tc", "qdisc", "add", "dev", "lo", "root", *kind)


def link(*kind: str) -> Probe:
    """Whether the kernel has a type of interface."""
    return in_new_namespace("ip", "link", "add", *kind)


def open_vswitch(machine: Machine) -> Seen:
    """Whether Open vSwitch answers."""
    if machine.euid() != 0:
        return NOT_TRIED
    answer = machine.run(("ovs-appctl", "--timeout=2", "-t", "ovs-vswitchd", "version"))
    return Seen(answer.ok, answer.output if answer.ok else answer.reason)


def ovs_userspace(machine: Machine) -> Seen:
    """Whether the running Open vSwitch can switch in userspace, which takes tap interfaces."""
    if machine.euid() != 0:
        return NOT_TRIED
    if not (machine.root / "dev/net/tun").exists():
        return Seen(present=False, detail="no /dev/net/tun")
    ask = ("ovs-vsctl", "--timeout=2", "--no-wait", "get", "Open_vSwitch", ".", "datapath_types")
    answer = machine.run(ask)
    if not answer.ok:
        return Seen(present=False, detail=answer.reason)
    return Seen("netdev" in answer.output, f"datapath types {answer.output}")


def ovs_kernel(machine: Machine) -> Seen:
    """Whether the kernel has a datapath for Open vSwitch."""
    seen = in_new_namespace("ovs-dpctl", "add-dp", "crunchbed")(machine)
    refused = not seen.present and seen != NOT_TRIED
    return Seen(present=False, detail="not in this kernel") if refused else seen
