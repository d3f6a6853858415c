"""A disk below /run that is too small, or full: the message names that disk, not the output's."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import orjson
import pytest

from crunchbed.host import leaks
from crunchbed.host.run_ids import STATE_ROOT
from tests.system.command import SHORT, Command

pytestmark = pytest.mark.root
_MOUNT = f'mount -t tmpfs -o size="$0" none {STATE_ROOT} && exec "$@"'


def on_a_disk_of(size: str, out: Path, *arguments: str) -> Command:
    """Start a run whose state is on a disk of that size, which nobody else sees."""
    STATE_ROOT.mkdir(exist_ok=True)
    before = ("unshare", "--mount", "sh", "-c", _MOUNT, size)
    return Command("run", "control", *SHORT, *arguments, "--out", out, before=before)


def test_a_disk_that_is_too_small_is_told_before_anything_starts(tmp_path: Path) -> None:
    run = on_a_disk_of("24m", tmp_path / "out")
    assert run.end() == 4
    assert run.errors == [
        "crunchbed: this machine lacks disk-room (/run/crunchbed has 24 MiB free, 256 MiB are "
        "needed; make room in /run/crunchbed, or --set block_io.export=64MiB or less)"
    ]
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_up_makes_the_run_invalid_and_is_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = on_a_disk_of("24m", out, "--set", "block_io.export=16MiB", "--set", "phases.control=20s")
    run_id = None
    try:
        run.wait_for("control")
        state = Path(f"/proc/{run.popen.pid}/root{STATE_ROOT}")
        (run_id,) = [path.parent.name for path in state.glob("*/run.json")]
        handle = os.open(state / "filler", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):  # until it is full
            while True:
                os.write(handle, bytes(1 << 16))
        os.close(handle)
        assert run.end(20) == 3
        words = f"{STATE_ROOT}/{run_id}: no room is left for the block target's disk"
        assert run.complaints == [f"crunchbed: {words}"]
        result = orjson.loads((out / "result.json").read_bytes())
        assert (result["verdict"], result["reasons"]) == ("invalid", [words])
    finally:
        run.kill()
        if run_id is not None:
            leaks.clean_run(run_id)
