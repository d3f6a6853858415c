"""Private directories for a program that expects to be alone on its machine."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def make_private(directories: Sequence[Path], keep: Sequence[Path] = ()) -> None:
    """Give this process, and its children to come, empty directories in place of these.

    The new directories are file systems in memory, in a mount namespace of their own. So no other
    process ever sees them, and they end with the last process in the namespace, however it ends.
    ``keep`` are directories below ``directories`` that stay what they are.

    Raises:
        OSError: The kernel refused; the process must end then.
    """
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", Path("/"), None, _MS_REC | _MS_PRIVATE)
    kept = [each for each in keep if any(each.is_relative_to(one) for one in directories)]
    # A descriptor still leads to a directory that a new mount hides.
    held = [(each, os.open(each, os.O_PATH | os.O_DIRECTORY)) for each in kept]
    for directory in directories:
        _mount("tmpfs", directory, "tmpfs", 0)
    for path, descriptor in held:
        path.mkdir(parents=True)
        _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND)
        os.close(descriptor)


def _mount(source: str, target: Path, kind: str | None, flags: int) -> None:
    encoded = None if kind is None else kind.encode()
    call = _libc.mount(source.encode(), str(target).encode(), encoded, ctypes.c_ulong(flags), None)
    _check(call, str(target))


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
