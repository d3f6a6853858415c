"""Network cards with their drivers, and tunnels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from crunchbed.host.survey.tree import Tree
from crunchbed.risk.machine import Interface, Storage

_NET: Final = "/sys/class/net"
_IFF_UP: Final = 1


def interfaces(tree: Tree) -> tuple[Interface, ...]:
    """Return the interfaces that a driver of a device serves; not bridges, bonds, veths."""
    found = []
    for name in tree.names(_NET):
        driver = _setting(tree, f"{_NET}/{name}/device/uevent", "DRIVER")
        if driver:
            found.append(Interface(name, driver, _is_up(tree, name)))
    return tuple(found)


def tunnels(tree: Tree) -> Iterator[Storage]:
    """Yield the interfaces of wireguard that are up."""
    for name in tree.names(_NET):
        path = f"{_NET}/{name}/uevent"
        if _setting(tree, path, "DEVTYPE") == "wireguard" and _is_up(tree, name):
            yield Storage("wireguard", name, f"{path} DEVTYPE=wireguard")


def _is_up(tree: Tree, name: str) -> bool:
    flags = tree.text(f"{_NET}/{name}/flags") or ""
    return re.fullmatch(r"0x[0-9a-f]+", flags) is not None and bool(int(flags, 16) & _IFF_UP)


def _setting(tree: Tree, path: str, key: str) -> str:
    found = (line.partition("=") for line in tree.lines(path))
    return next((value for name, _, value in found if name == key), "")
