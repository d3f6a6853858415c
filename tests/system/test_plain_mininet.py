"""The topologies load with Mininet's own command line, and everybody reaches everybody."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
# mn ends, where it fails, by killing programs and deleting bridges by name, whoever's they are:
# it gets processes and a network of its own, and no Open vSwitch.
SANDBOX = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
HIDE_OVS = 'mount -t tmpfs none /run/openvswitch 2>/dev/null; ip link set lo up; exec "$@"'


@pytest.mark.skipif(not shutil.which("brctl"), reason="no brctl: bridge-utils, see packages.txt")
@pytest.mark.skipif(not shutil.which("ping"), reason="no ping: iputils-ping, see packages.txt")
@pytest.mark.parametrize(
    ("topology", "pings"),
    [
        ("star,2", 6),
        # mn pings a host's first address, and the storage host is not on that network.
        ("split,2", 4),
        ("redundant,2", 6),
        # Its bridges learn for half a minute before they forward.
        pytest.param("leaf-spine,2,2", 6, marks=pytest.mark.slow),
    ],
)
def test_pingall(tmp_path: Path, topology: str, pings: int) -> None:
    command = ["mn", "--custom", str(ROOT / "topologies" / "topo.py"), "--topo", topology]
    command += ["--switch", "lxbr", "--controller", "none", "--wait", "--test", "pingall"]
    done = subprocess.run(
        [*SANDBOX, "sh", "-c", HIDE_OVS, "sh", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    words = done.stdout + done.stderr
    assert done.returncode == 0, words
    assert f"({pings}/6 received)" in words, words
