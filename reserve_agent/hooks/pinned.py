"""Hooks that outlive the process which loaded them, by pins in bpffs.

A program or map lives while something refers to it: a descriptor of a process, an attachment, a
pin. A filter at an interface refers to its program by itself; an attachment to a cgroup is a link,
which ends with its last descriptor unless it is pinned too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reserve_agent.hooks import libbpf
from reserve_agent.hooks.layout import MAP_VALUES

PINNED_MAPS: Final = tuple(MAP_VALUES)
PINNED_PROGRAMS: Final = ("cb_operate", "cb_list_sockets")
_LINK: Final = "link_"
_COMPLETE: Final = "complete"


def write_pins(directory: Path, objects: Mapping[str, int], links: Mapping[str, int]) -> None:
    """Pin maps and programs by their names, and the attachments of programs, by descriptor.

    The last pin says that all the others are there: the pins of a process that was killed while it
    pinned are of no use to a successor.

    Raises:
        HookError: a pin could not be made.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, descriptor in objects.items():
        libbpf.pin(descriptor, directory / name)
    for name, descriptor in links.items():
        libbpf.pin(descriptor, directory / f"{_LINK}{name}")
    libbpf.pin(objects["cb_pool"], directory / _COMPLETE)


def are_complete(directory: Path) -> bool:
    """Whether everything that a successor needs is pinned there."""
    return (directory / _COMPLETE).exists()


def remove_pins(directory: Path) -> None:
    """Remove the pins, complete or not; programs and maps without other references are gone."""
    names = (_COMPLETE, *PINNED_MAPS, *PINNED_PROGRAMS)
    for path in (*(directory / name for name in names), *directory.glob(f"{_LINK}*")):
        path.unlink(missing_ok=True)


class PinnedObject:
    """Maps and programs that another process has pinned, with the methods of ``BpfObject``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptors: dict[str, int] = {}

    def map_fd(self, name: str) -> int:
        """File descriptor of a map, owned by the object."""
        if name not in self._descriptors:
            self._descriptors[name] = libbpf.open_pinned(self._directory / name)
        return self._descriptors[name]

    program_fd = map_fd

    def close(self) -> None:
        """Drop the descriptors."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()
