"""Runs of two machines that boot fast, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from crunchbed.backends.machines import images
from nodes.waiting import wait_until
from tests.system.command import Command, children, traces

TWO = (
    *("--backend", "machines", "--set", "cluster.nodes=2", "--set", "cluster.switch=linux-bridge"),
    *("--set", "traffic.rate=0"),
)
_FAST_KERNEL = "6.1-cloud"
KERNEL = _FAST_KERNEL if images.find(_FAST_KERNEL) is not None else images.DEFAULT
"""Boots in 3 s, the default kernel in 5 s."""
PATIENCE_SECONDS = 120.0
"""For a boot, or the end of a run, on a machine that has much else to do."""
FAST = (*TWO, "--set", f"memory.kernel={KERNEL}", "--set", "memory.nic=vmxnet3")


def fast(
    out: Path, *changes: str, control: str = "1s", inject: str = "1s", before: tuple[str, ...] = ()
) -> Command:
    """Begin a run of `control` on two machines, about 7 s long.

    Args:
        out: The run directory.
        changes: More keys of the scenario, such as ``cluster.nodes=3``.
        control: The length of the phase.
        inject: The length of the phase.
        before: A program with arguments that starts the run.
    """
    keys = (f"phases.control={control}", f"phases.inject={inject}", "phases.recovery=1s", *changes)
    sets = [word for key in keys for word in ("--set", key)]
    return Command("run", "control", *FAST, *sets, "--out", out, before=before)


def id_of(command: Command, until: str = "n2 machine") -> str:
    """Wait until a run has started this process, and return the run's id."""
    wait_until(
        lambda: until in children(command.popen.pid), PATIENCE_SECONDS, f"{until} is started"
    )
    found = command.run_id
    assert found is not None
    return found


def pid_of(command: Command, process: str) -> int:
    """Return the pid of a process of the run, such as ``n1 machine``."""
    return children(command.popen.pid)[process]


def verdict_of(out: Path) -> tuple[str, list[str]]:
    """Return the verdict of a run, and the reasons."""
    result = orjson.loads((out / "result.json").read_bytes())
    return result["verdict"], result["reasons"]


def await_phase(command: Command, phase: str) -> None:
    """Return when a run is in a phase."""
    command.wait_for(phase, PATIENCE_SECONDS)


def is_invalid(command: Command, run_id: str, out: Path, reason: str) -> None:
    """Hold a run to its end: invalid with a reason that it also says, and nothing is left."""
    assert command.end(PATIENCE_SECONDS) == 3, command.errors
    verdict, reasons = verdict_of(out)
    assert verdict == "invalid"
    assert any(reason in one for one in reasons), reasons
    assert any(reason in line for line in command.complaints) or reason in command.output
    assert not any("Traceback" in line for line in command.errors)
    assert traces(run_id) == []


def images_with(folder: Path, name: str, init: str) -> Path:
    """Make a directory of kernels that has one kernel, whose first process is another script.

    Args:
        folder: Where it is made.
        name: The kernel's name.
        init: The script, which becomes ``/init.real`` in the end.
    """
    original = images.find(name)
    if original is None:
        pytest.skip(f"no kernel {name} ({images.MAKE})")
    made = folder / "machines" / original.release
    made.mkdir(parents=True)
    (made.parent / name).symlink_to(original.release)
    for file in ("vmlinuz", "cards", "shared", "accelerator.json"):
        if (original.directory / file).exists():
            (made / file).symlink_to(original.directory / file)
    real = Path("nodes/guest/init").read_bytes()
    archive = _member("init", init.encode()) + _member("init.real", real) + _member("TRAILER!!!")
    # A kernel unpacks one archive after the other; a file of a later one replaces the earlier file.
    packed = original.initramfs.read_bytes()
    (made / "initramfs").write_bytes(packed + bytes(-len(packed) % 4) + archive)
    return made.parent


def _member(name: str, content: bytes = b"") -> bytes:
    """Return a file of a cpio archive (Documentation/driver-api/early-userspace)."""
    mode = 0 if name == "TRAILER!!!" else 0o100755
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def ours(machines: Path) -> tuple[str, ...]:
    """Return what starts a run with a directory of kernels of its own."""
    return ("env", f"{images.DIRECTORY_VARIABLE}={machines}")
