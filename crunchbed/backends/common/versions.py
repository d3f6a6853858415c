"""Versions of the programs that a cluster of network namespaces is made with."""

from __future__ import annotations

import importlib.metadata
import subprocess

_PROGRAMS = {
    "open_vswitch": ("ovs-vsctl", "--version"),
    "corosync": ("corosync", "-v"),
    "nbdkit": ("nbdkit", "--version"),
    "tgt": ("tgtd", "--version"),
    "mininet": ("mn", "--version"),
}


def program_versions() -> dict[str, str]:
    """Return the version of every program that may matter to a figure, by name."""
    found = {name: first_line(argv) for name, argv in _PROGRAMS.items()}
    return found | {"pyroute2": importlib.metadata.version("pyroute2")}


def first_line(argv: tuple[str, ...]) -> str:
    """Return the first line that a command says, or that there is no such command."""
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "not found"
    text = (ended.stdout or ended.stderr).strip()
    return text.splitlines()[0] if text else "unknown"
