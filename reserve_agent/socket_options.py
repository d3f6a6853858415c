"""Socket options of Linux that Python's ``socket`` has no names for (asm-generic/socket.h)."""

from __future__ import annotations

from typing import Final

SO_SNDBUFFORCE: Final = 32
"""``SO_SNDBUF`` beyond net.core.wmem_max; takes CAP_NET_ADMIN."""
SO_RCVBUFFORCE: Final = 33
"""``SO_RCVBUF`` beyond net.core.rmem_max; takes CAP_NET_ADMIN."""
SO_TIMESTAMPNS: Final = 35
"""Each datagram comes with the time of its arrival, a timespec of CLOCK_REALTIME."""
