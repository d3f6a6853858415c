"""``crunchbed calibrate`` on a stock kernel, and that nothing is left of one that is ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from nodes.process import descendants
from nodes.waiting import wait_until
from reserve_agent.model.profiles import CARDS, LINUX_6_1
from reserve_agent.model.profiles.record import Profile, constants
from reserve_agent.profile_files import load_profile

COMMAND = (sys.executable, "-m", "crunchbed", "calibrate", "6.1", "--nic", "e1000")


def test_linux_6_1_with_e1000_is_as_its_profile_says(tmp_path: Path) -> None:
    out = tmp_path / "e1000.json"
    done = subprocess.run(
        [*COMMAND, "--repeats", "1", "--check", "--json", "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    seen = {one["constant"]: one["seen"] for one in record["constants"]}
    assert len(seen) == 14
    assert all(abs(share - 3 / 8) <= 1 / 16 for share in seen["kernel.floors.atomic"])
    assert constants(load_profile(out)) == constants(Profile(LINUX_6_1, CARDS["e1000"]))


def test_a_calibration_that_is_interrupted_leaves_nothing() -> None:
    before = set(Path(tempfile.gettempdir()).glob("crunchbed-calibrate-*"))
    process = subprocess.Popen(COMMAND, stderr=subprocess.DEVNULL)

    def guest() -> list[int]:
        return descendants(process.pid)

    try:
        wait_until(guest, 30, "QEMU is started")
        pids = guest()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert set(Path(tempfile.gettempdir()).glob("crunchbed-calibrate-*")) == before
