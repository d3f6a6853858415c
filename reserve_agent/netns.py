"""Visiting another network namespace for a moment."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reserve_agent.errors import HookError

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _enter(fd: int) -> None:
    # os.setns() arrives with Python 3.12 only.
    if _libc.setns(fd, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise HookError(f"enter a network namespace: {os.strerror(code)}")


@contextmanager
def network_namespace_of(pid: int) -> Iterator[None]:
    """Run the block in the network namespace of process ``pid``.

    Only the calling thread moves, and only its network namespace: /sys and with it the pinned
    hooks stay as they are.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(Path("/proc") / str(pid) / "ns/net", os.O_RDONLY)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)
