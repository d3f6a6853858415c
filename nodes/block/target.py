"""The NBD target: nbdkit with its memory plugin on the storage host."""

from __future__ import annotations

import socket


def nbdkit_argv(address: str, port: int, size_bytes: int, write_delay_ns: int = 0) -> list[str]:
    """Nbdkit in the foreground, on one address of the host's own namespace.

    With ``write_delay_ns`` its delay filter makes every write take that much longer.

    The memory plugin keeps acknowledged data as long as the process lives: enough where the
    target is not what fails.
    """
    slow = write_delay_ns > 0
    return [
        *("nbdkit", "--foreground", "--exit-with-parent"),
        *(("--filter", "delay") if slow else ()),
        *("--ipaddr", address, "--port", str(port), "memory", str(size_bytes)),
        *((f"wdelay={write_delay_ns // 1_000_000}ms",) if slow else ()),
    ]


def is_listening(address: str, port: int) -> bool:
    """Whether something accepts connections there; to be asked inside the namespace."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((address, port)) == 0
