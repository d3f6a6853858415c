"""Machines that panic or stand still, full disks, and two runs side by side."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crunchbed.host import leaks
from crunchbed.host.run_ids import STATE_ROOT
from tests.machines.clusters import (
    KERNEL,
    PATIENCE_SECONDS,
    await_phase,
    fast,
    id_of,
    images_with,
    is_invalid,
    ours,
    pid_of,
    verdict_of,
)
from tests.system.command import Command, run, traces

pytestmark = pytest.mark.root
# A shell gives what it starts in the background /dev/null to read from.
_PANIC = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t devtmpfs devtmpfs /dev
(
    until [ -e /proc/sysrq-trigger ] && {condition}; do busybox usleep 10000; done
    echo c >/proc/sysrq-trigger
) &
exec /init.real
"""
_MOUNT = 'mount -t tmpfs -o size="$0" none "$1" && shift && exec "$@"'
_FULL = 'mount -t tmpfs -o size=8k none "$0"; head -c 1M /dev/zero >"$0/filler"; exec "$@"'


@pytest.mark.parametrize(
    "condition",
    ["true", "busybox grep -q agent /proc/1/comm && busybox sleep 2"],
    ids=["in the boot", "in the run"],
)
def test_a_kernel_that_panics_makes_the_run_invalid_with_its_last_words(
    condition: str, tmp_path: Path
) -> None:
    machines = images_with(tmp_path, KERNEL, _PANIC.format(condition=condition))
    command = fast(tmp_path / "out", control="30s", before=ours(machines))
    try:
        run_id = id_of(command)
        words = "Kernel panic - not syncing: sysrq triggered crash"
        is_invalid(command, run_id, tmp_path / "out", words)
    finally:
        command.kill()


@pytest.mark.parametrize(
    ("process", "phase"),
    [("machine", "control"), ("machine", "inject"), ("attendant", "inject")],
)
def test_what_somebody_stops_makes_the_run_invalid(
    process: str, phase: str, tmp_path: Path
) -> None:
    """The node's peers eject it, and are right as far as they know: only the run sees the stop."""
    # Nothing boots again: the run is about to end.
    command = fast(tmp_path / "out", "fencing.reboot_delay=30s", control="2s", inject="2s")
    try:
        run_id = id_of(command)
        await_phase(command, phase)
        pid = pid_of(command, f"n1 {process}")
        os.kill(pid, signal.SIGSTOP)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.popen.wait(1)
        if process == "attendant":  # a machine was fenced
            os.kill(pid, signal.SIGCONT)
        is_invalid(command, run_id, tmp_path / "out", f"the {process} of n1 stood still for ")
    finally:
        command.kill()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory for a disk that only the run sees."""
    made = tmp_path / "disk"
    made.mkdir()
    yield made
    assert list(made.iterdir()) == []


def fill(folder: Path, command: Command) -> None:
    """Write into a directory, as the run sees it, until its disk is full."""
    handle = os.open(
        f"/proc/{command.popen.pid}/root{folder}/filler", os.O_WRONLY | os.O_CREAT, 0o600
    )
    with contextlib.suppress(OSError):
        while True:
            os.write(handle, bytes(4096))
    os.close(handle)


def test_a_disk_that_is_full_is_told_before_anything_starts(place: Path) -> None:
    command = fast(place / "out", before=("unshare", "--mount", "sh", "-c", _FULL, str(place)))
    assert command.end() == 2, command.errors
    (line,) = [line for line in command.complaints if line.startswith("crunchbed: ")]
    assert line == (
        f"crunchbed: {place / 'out'}: cannot make the run directory (No space left on device)"
    )


def test_a_disk_of_results_that_fills_up_makes_the_run_invalid_and_is_named(place: Path) -> None:
    before = ("unshare", "--mount", "sh", "-c", _MOUNT, "2m", str(place))
    command = fast(place / "out", control="10s", before=before)
    try:
        run_id = id_of(command)
        await_phase(command, "control")
        fill(place, command)
        assert command.end(PATIENCE_SECONDS) == 3, command.errors
        full = f"{place / 'out'}: cannot be written to: No space left on device"
        assert command.complaints == [f"crunchbed: {full}"]
    finally:
        command.kill()
    assert traces(run_id) == []


def test_a_disk_below_run_that_is_too_small_is_told_before_anything_starts(tmp_path: Path) -> None:
    before = ("unshare", "--mount", "sh", "-c", _MOUNT, "24m", str(STATE_ROOT))
    command = fast(tmp_path / "out", before=before)
    assert command.end() == 4
    (line,) = command.complaints
    assert line.startswith("crunchbed: this machine lacks disk-room (/run/crunchbed has 24 MiB ")
    assert not (tmp_path / "out").exists()


def test_a_disk_below_run_that_fills_up_makes_the_run_invalid_and_is_named(tmp_path: Path) -> None:
    before = ("unshare", "--mount", "sh", "-c", _MOUNT, "40m", str(STATE_ROOT))
    command = fast(tmp_path / "out", "block_io.export=16MiB", control="10s", before=before)
    found: list[str] = []
    try:
        await_phase(command, "control")
        seen = Path(f"/proc/{command.popen.pid}/root{STATE_ROOT}")
        found = [path.parent.name for path in seen.glob("*/run.json")]
        fill(STATE_ROOT / found[0], command)
        words = f"{STATE_ROOT}/{found[0]}: no room is left for the block target's disk"
        is_invalid(command, found[0], tmp_path / "out", words)
    finally:
        command.kill()
        for run_id in found:
            leaks.clean_run(run_id)


def test_two_runs_side_by_side_do_not_meet(tmp_path: Path) -> None:
    quiet = ("block_io.dirty_rate=100", "heartbeat.misses=10")
    both = [fast(tmp_path / name, *quiet) for name in ("one", "two")]
    try:
        ids = {id_of(command) for command in both}
        codes = [command.end(PATIENCE_SECONDS) for command in both]
    finally:
        for command in both:
            command.kill()
    assert len(ids) == 2
    assert codes == [0, 0], [command.errors for command in both]
    assert [verdict_of(tmp_path / name) for name in ("one", "two")] == [("pass", [])] * 2
    assert [trace for run_id in ids for trace in traces(run_id)] == []


def test_what_somebody_else_runs_is_left_alone_by_clean(tmp_path: Path) -> None:
    command = fast(tmp_path / "out")
    try:
        run_id = id_of(command)
        cleaned = run("clean")
        assert f"{run_id}: is live, not touched" in cleaned.output
        assert command.end(PATIENCE_SECONDS) == 0, command.errors
    finally:
        command.kill()
