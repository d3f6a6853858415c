"""The command line of machines: bad input is one line and exit code 2, what is lacking is 4."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from crunchbed.backends.machines import images
from crunchbed.cli import app
from nodes.guest import layout

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "machines.sh"
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory to be; the machine has a kernel 6.1 for two cards, and no other."""
    built = tmp_path / "machines" / "6.1.0-1-amd64"
    built.mkdir(parents=True)
    (built.parent / "6.1").symlink_to(built.name)
    (built / "cards").write_text("vmxnet3\nvirtio-net-pci\n")
    (built / "shared").write_text(f"{layout.VERSION}\n")
    for file in ("vmlinuz", "initramfs"):
        (built / file).touch()
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(built.parent))
    return tmp_path / "out"


def run(captured: Captured, out: Path, *arguments: str) -> tuple[int, str]:
    """Have `control` run on machines; return the exit code and the only line that is said."""
    code = app.main(["run", "control", "--backend", "machines", *arguments, "--out", str(out)])
    said, errors = captured.readouterr()
    (line,) = errors.splitlines()
    assert (said, out.exists()) == ("", False)
    return code, line.removeprefix("crunchbed: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--set", "cluster.nodes=1"),
            "cluster.nodes: expected a whole number of nodes from 2 to 10000, got 1",
        ),
        (("--set", "cluster.nodes=9"), "cluster.nodes: expected 2 to 8 machines, got 9"),
        (
            ("--policy", "mempool"),
            "policy: expected none or memalloc: no kernel has another, got mempool",
        ),
        (
            ("--set", "memory.pages=4096", "--set", "memory.clean=0"),
            "memory.pages: expected 16384 or more (64MiB), got 4096 (16MiB)",
        ),
        (
            ("--set", "memory.nic=tulip"),
            "memory.nic: expected one of e1000, e1000e, 8139cp, vmxnet3, virtio-net, igb, "
            "got 'tulip'",
        ),
        (
            ("--set", "memory.nic=ne2k"),
            "got ne2k, which one failed allocation makes deaf for good, whatever memory there is",
        ),
        (
            ("--set", "memory.nic=pcnet"),
            "got pcnet, on which a crunch does not end whatever is flagged",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else one[-1],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], message: str, out: Path, capsys: Captured
) -> None:
    code, line = run(capsys, out, *arguments)
    assert code == 2
    assert line.endswith(message)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "memory.kernel=5.15",
            "kernel 5.15 (5.15 is not in {built}; built: 6.1; --kernel IMAGE --modules DIR)",
        ),
        ("memory.nic=e1000", "driver of e1000 (6.1 has vmxnet3, virtio-net; another memory.nic or"),
    ],
)
def test_what_is_lacking_is_one_line(key: str, message: str, out: Path, capsys: Captured) -> None:
    code, line = run(capsys, out, "--set", key)
    assert code == 4
    assert line.startswith("this machine lacks ")
    assert message.format(built=images.directory()) in line


def test_make_machines_knows_which_kernels_there_are(tmp_path: Path) -> None:
    made = tmp_path / "machines"
    told = {images.DIRECTORY_VARIABLE: str(made), "KERNELS": "6.1 5.10"}
    done = subprocess.run([SCRIPT], env=os.environ | told, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, made.exists()) == (2, False)
    assert line == "machines: KERNELS: expected some of 6.1 6.1-cloud 6.12, got 5.10"
