"""One line of a source that was read, and which of several versions stands for a running one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LINUX_6_1: Final = "6.1.192"
LINUX_6_12: Final = "6.12.117"
READ_KERNELS: Final = (LINUX_6_1, LINUX_6_12)
"""The kernels that were read: the sources of Debian's linux 6.1.192-3 and 6.12.117-1~deb12u1."""


@dataclass(frozen=True)
class Reading:
    """What one version does, and the line that says so.

    Attributes:
        version: The version that was read, of the kernel or of a module with its own versions.
        rule: One of the rules of ``sockets.Flagged`` or ``cards.Asks``.
        file: Path below the root of the sources.
        line: Line in the file, from 1.
        text: Part of what stands on the line.
        tree: Whose version it is, where it is not the kernel's.
    """

    version: str
    rule: str
    file: str
    line: int
    text: str
    tree: str = ""

    @property
    def place(self) -> str:
        """``drivers/block/nbd.c:1228 (6.1.192)``."""
        return f"{self.file}:{self.line} ({f'{self.tree} {self.version}'.lstrip()})"


def linux(rule: str, file: str, text: str, line_6_1: int, line_6_12: int) -> tuple[Reading, ...]:
    """Return the readings of a line that is the same in both kernels."""
    return (
        Reading(LINUX_6_1, rule, file, line_6_1, text),
        Reading(LINUX_6_12, rule, file, line_6_12, text),
    )


def numbers(version: str) -> tuple[int, ...]:
    """Return ``(6, 1, 0)`` of ``6.1.0-56-amd64``; empty where it begins with no number."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def reading_for(readings: Sequence[Reading], running: str) -> Reading:
    """Return the newest reading that is not newer than a running version, else the oldest.

    Only the first two numbers of a kernel count: a distribution's third one may be its own.
    """
    of_kernel = readings[0].version in READ_KERNELS
    digits = 2 if of_kernel else 3
    limit = numbers(running)[:digits]
    older = [one for one in readings if numbers(one.version)[:digits] <= limit]
    return older[-1] if older else readings[0]
