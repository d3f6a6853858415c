"""One look at a machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from crunchbed.host.survey import memory, network, storage
from crunchbed.host.survey.tree import Tree
from crunchbed.risk.daemons import of_process
from crunchbed.risk.machine import Machine, Process, Storage
from reserve_agent.errors import BadInput, MissingRequirement

_RELEASE: Final = "/proc/sys/kernel/osrelease"
_LOCK_SPACES: Final = (
    ("dlm", "/sys/kernel/dlm"),
    ("o2net", "/sys/kernel/config/cluster"),
)
"""Where a lock space or a cluster of the kernel shows."""


def survey(root: Path) -> Machine:
    """Look at the machine whose files are below ``root``.

    Raises:
        BadInput: ``root`` is no directory.
        MissingRequirement: There is no /proc or no /sys, so that nothing can be said.
    """
    if not root.is_dir():
        raise BadInput(f"--root {root}: expected a directory that has /proc and /sys of a machine")
    tree = Tree(root)
    kernel = tree.text(_RELEASE)
    if kernel is None:
        why = tree.unread.get(_RELEASE, "not there")
        raise MissingRequirement(f"cannot look at this machine: {_RELEASE} is {why}; mount /proc")
    if not tree.exists("/sys/class"):
        raise MissingRequirement("cannot look at this machine: /sys/class is not there; mount /sys")
    found = (
        *storage.block_devices(tree),
        *storage.network_mounts(tree),
        *network.tunnels(tree),
    )
    return Machine(
        name=tree.text("/proc/sys/kernel/hostname") or "localhost",
        kernel=kernel,
        interfaces=network.interfaces(tree),
        storages=found,
        swaps=tuple(storage.swaps(tree, found)),
        lock_users=tuple(_lock_users(tree)),
        processes=tuple(_processes(tree)),
        memory=memory.memory(tree),
        past=memory.past(tree),
        unread=tree.unread,
    )


def _lock_users(tree: Tree) -> Iterator[Storage]:
    for user, folder in _LOCK_SPACES:
        for name in tree.names(folder):
            yield Storage(user, name, f"{folder}/{name}")


def _processes(tree: Tree) -> Iterator[Process]:
    """Yield the daemons of a cluster, one process of each."""
    seen: set[str] = set()
    for pid in sorted(int(name) for name in tree.names("/proc") if name.isdecimal()):
        name = tree.text(f"/proc/{pid}/comm")
        if name is not None and name not in seen and of_process(name):
            seen.add(name)
            yield Process(name, pid, _locked(tree, pid))


def _locked(tree: Tree, pid: int) -> int | None:
    lines = (line.split() for line in tree.lines(f"/proc/{pid}/status"))
    found = (words[1] for words in lines if words[:1] == ["VmLck:"] and len(words) > 1)
    return next((int(text) for text in found if text.isdecimal()), None)
