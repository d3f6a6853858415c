"""Ryu, OS-Ken's ancestor, in an environment of its own: built once, under ``build/``."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RYU = "ryu==4.34"
# Its setup.py needs what setuptools 58 has dropped.
BUILD = ("setuptools<58", "wheel")
OURS = ("orjson", "prometheus-client")


def python() -> str:
    """The interpreter of the environment; makes that where it is not there yet.

    Raises:
        subprocess.CalledProcessError: the package index has not brought it; with pip's words.
    """
    directory = ROOT / "build" / "ryu"
    directory.parent.mkdir(exist_ok=True)
    with (directory.parent / "ryu.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            _build(directory)
    return str(directory / "bin" / "python")


def _build(directory: Path) -> None:
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    for command in (
        ["/usr/bin/python3", "-m", "venv", "--clear", str(directory)],
        [*pip, *BUILD, *OURS],
        [*pip, "--no-build-isolation", RYU],
    ):
        subprocess.run(command, check=True)
    (directory / "complete").touch()
