"""``make machines`` where it cannot do its work: one line that says why."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from crunchbed.backends.machines.images import DIRECTORY_VARIABLE

pytestmark = pytest.mark.root
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "machines.sh"
NOBODY = "65534"


def fails(built: Path, *before: str) -> str:
    """Call the script for a directory of kernels; return the one line that it says."""
    command = ["env", f"{DIRECTORY_VARIABLE}={built}", *before, str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert not list(built.glob("*/vmlinuz"))
    return line.removeprefix("machines: ")


def test_without_a_network_it_says_so(tmp_path: Path) -> None:
    line = fails(tmp_path / "built", "unshare", "--net")
    assert line.startswith("no list of packages came from http")
    assert line.endswith(f"is the network there? (all output: {tmp_path / 'built' / 'log'})")


@pytest.mark.parametrize("size", ["4k", "20m"])
def test_on_a_disk_without_room_it_says_how_much_it_takes(size: str, tmp_path: Path) -> None:
    built = tmp_path / "built"
    built.mkdir()
    mount = 'mount -t tmpfs -o size="$0" none "$1" && touch "$1/one" && shift && exec "$@"'
    line = fails(built, "unshare", "--mount", "sh", "-c", mount, size, str(built))
    free = 20 if size == "20m" else 0
    assert line == f"700 MiB are needed in {built}, and {free} MiB are free"


def test_it_is_for_root(tmp_path: Path) -> None:
    nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    assert fails(tmp_path / "built", *nobody) == "needs root: it installs packages"
