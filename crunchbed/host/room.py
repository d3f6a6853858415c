"""Room on disks: how much there is, and which disk has none."""

from __future__ import annotations

import os
from pathlib import Path


def free_bytes(path: Path) -> int | None:
    """Return how many bytes can still be written below ``path``; None: nobody knows a limit.

    Where ``path`` does not exist, its nearest parent is asked.

    Raises:
        OSError: The disk does not answer.
    """
    disk = os.statvfs(next(each for each in (path, *path.absolute().parents) if each.exists()))
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else None


def is_full(path: Path) -> bool:
    """Return whether the disk of ``path`` has no block or no inode left; not where it is gone."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    # A disk without a limit, such as btrfs for inodes, has none of either and none free.
    return (disk.f_blocks > 0 and disk.f_bfree == 0) or (disk.f_files > 0 and disk.f_ffree == 0)
