"""The NBD target: nbdkit with its memory plugin on the storage host."""

from __future__ import annotations

import socket


def nbdkit_argv(address: str, port: int, size_bytes: int) -> list[str]:
    """Nbdkit in the foreground, on one address of the host's own namespace.

    The memory plugin keeps acknowledged data as long as the process lives: enough where the
    target is not what fails.
    """
    return [
        *("nbdkit", "--foreground", "--exit-with-parent"),
        *("--ipaddr", address, "--port", str(port), "memory", str(size_bytes)),
    ]


def is_listening(address: str, port: int) -> bool:
    """Whether something accepts connections there; to be asked inside the namespace."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((address, port)) == 0
