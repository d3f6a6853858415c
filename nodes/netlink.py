"""What the kernel refuses by netlink, and what of that is no error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2.netlink.exceptions import NetlinkError


@contextmanager
def tolerated(*codes: int) -> Iterator[None]:
    """Leave the block without an error where the kernel has refused with one of these codes."""
    try:
        yield
    except NetlinkError as error:
        if error.code not in codes:
            raise
