"""Block devices and mounts over the network, and swap on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from crunchbed.host.survey.tree import Tree
from crunchbed.risk.machine import Storage, Swap

_BLOCK: Final = "/sys/block"
_ISCSI: Final = "/sys/class/iscsi_session"
_NVME: Final = "/sys/class/nvme"
_MOUNTS: Final = "/proc/self/mountinfo"
_SWAPS: Final = "/proc/swaps"
_FILE_SYSTEMS: Final = {
    "nfs": "nfs",
    "nfs4": "nfs",
    "cifs": "cifs",
    "smb3": "cifs",
    "ceph": "ceph",
    "9p": "9p",
}
"""The user of sockets behind a type of file system."""
_DEEPEST: Final = 8  # devices on devices
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A line of mountinfo; ``device`` has the numbers of the disk, or of none."""

    device: str
    point: str
    kind: str
    source: str
    options: str


def block_devices(tree: Tree) -> Iterator[Storage]:
    """Yield the block devices that are in use and whose data go over the network."""
    version = tree.text("/sys/module/drbd/version") or ""
    for name in tree.names(_BLOCK):
        folder = f"{_BLOCK}/{name}"
        if name.startswith("nbd") and tree.exists(f"{folder}/pid"):
            seen = f"{folder}/pid {tree.text(f'{folder}/pid')}"
            yield _queued(tree, "nbd", name, seen, connections=len(tree.names(f"{folder}/mq")) or 1)
        elif name.startswith("drbd"):
            yield Storage("drbd", name, f"/sys/module/drbd/version {version or '?'}", version)
        elif name.startswith("rbd"):
            yield _queued(tree, "rbd", name, folder)
        elif name.startswith("etherd"):
            yield _queued(tree, "aoe", name, folder)
    yield from _iscsi(tree)
    yield from _nvme(tree)


def _queued(tree: Tree, user: str, name: str, seen: str, connections: int = 1) -> Storage:
    queue = f"{_BLOCK}/{name}/queue"
    return Storage(
        *(user, name, seen),
        queue_depth=tree.number(f"{queue}/nr_requests") or 0,
        request_bytes=(tree.number(f"{queue}/max_sectors_kb") or 0) * 1024,
        connections=connections,
    )


def _iscsi(tree: Tree) -> Iterator[Storage]:
    """Yield the sessions of the software initiator; a card with an initiator has no socket."""
    for name in tree.names(_ISCSI):
        host = re.search(r"/(host\d+)/", f"{tree.device_path(f'{_ISCSI}/{name}')}/")
        driver = tree.text(f"/sys/class/scsi_host/{host[1]}/proc_name") if host else None
        if driver in (None, "iscsi_tcp"):
            path = f"{_ISCSI}/{name}/targetname"
            yield Storage("iscsi_tcp", name, f"{path} {tree.text(path) or '?'}")


def _nvme(tree: Tree) -> Iterator[Storage]:
    for name in tree.names(_NVME):
        path = f"{_NVME}/{name}/transport"
        if tree.text(path) == "tcp":
            yield Storage(
                *("nvme-tcp", name, f"{path} tcp"),
                queue_depth=tree.number(f"{_NVME}/{name}/sqsize") or 0,
                connections=tree.number(f"{_NVME}/{name}/queue_count") or 1,
            )


def mounts(tree: Tree) -> list[Mount]:
    """Return all mounts of this mount namespace."""
    found = []
    for line in tree.lines(_MOUNTS):
        first, separator, rest = line.partition(" - ")
        fields, more = first.split(), rest.split()
        if separator and len(fields) > 4 and len(more) > 2:
            point, source = _unescaped(fields[4]), _unescaped(more[1])
            found.append(Mount(fields[2], point, more[0], source, more[2]))
    return found


def network_mounts(tree: Tree) -> Iterator[Storage]:
    """Yield the mounts over the network, each source once."""
    seen: set[str] = set()
    for one in mounts(tree):
        user = _FILE_SYSTEMS.get(one.kind)
        is_local = one.kind == "9p" and "trans=tcp" not in one.options.split(",")
        if user is None or is_local or one.source in seen:
            continue
        seen.add(one.source)
        size = re.search(r"\bwsize=(\d+)", one.options)
        text = f"{_MOUNTS} {one.source} {one.kind}"
        yield Storage(user, one.point, text, request_bytes=int(size[1]) if size else 0)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)


def swaps(tree: Tree, storages: Sequence[Storage]) -> Iterator[Swap]:
    """Yield the swap areas, with the storage that each is on."""
    for line in tree.lines(_SWAPS)[1:]:
        name, kind = [*line.split(), "", ""][:2]
        name = _unescaped(name)
        storage = _of_file(tree, name, storages) if kind == "file" else None
        if kind != "file":
            storage = _of_device(tree, name.rpartition("/")[2], storages)
        yield Swap(name, storage, f"{_SWAPS} {name} {kind}")


def _of_file(tree: Tree, name: str, storages: Sequence[Storage]) -> str | None:
    """Return the storage of the mount that has a file: the one whose point is the longest."""
    holding = [one for one in mounts(tree) if f"{name}/".startswith(f"{one.point.rstrip('/')}/")]
    if not holding:
        return None
    mount = max(holding, key=lambda one: len(one.point))
    if any(mount.point == one.name for one in storages):
        return mount.point
    disk = f"/sys/dev/block/{mount.device}"
    where = tree.device_path(disk) if tree.exists(disk) else mount.source
    return _of_device(tree, where.rpartition("/")[2], storages)


def _of_device(tree: Tree, name: str, storages: Sequence[Storage], depth: int = 0) -> str | None:
    """Return the storage that a device is, is a part of, or stands on."""
    path = tree.device_path(f"/sys/class/block/{name}")
    for one in storages:
        disk = re.sub(r"n\d+(p\d+)?$", "", name) if one.user == "nvme-tcp" else ""
        if one.name in (*path.split("/"), name, disk):
            return one.name
    if depth < _DEEPEST:
        for lower in tree.names(f"/sys/class/block/{name}/slaves"):
            found = _of_device(tree, lower, storages, depth + 1)
            if found is not None:
                return found
    return None
