"""What is made of a real run: a steady state, a bundle, a verdict by nobody, a pytest test."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.system.command import run

pytestmark = pytest.mark.root

QUICK = {
    "cluster.switch": "linux-bridge",
    "phases.control": "1s",
    "phases.inject": "1s",
    "phases.after": "1s",
    "capture": "true",
    "steady": "[heartbeats_missed == 0, writes_acknowledged > 10, io_p99_seconds < 500ms]",
}
NOBODY = 65534
ROOT = Path(__file__).resolve().parents[2]


def closed_to_nobody() -> bool:
    return any(not path.stat().st_mode & 0o001 for path in (ROOT, *ROOT.parents))


def tcpdump(path: Path, what: str) -> list[str]:
    """The packets of a capture, a line each."""
    command = ["tcpdump", "-n", "-r", str(path), what]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def judged_by_nobody(bundle: Path) -> subprocess.CompletedProcess[str]:
    """By a process without any right, and without the checkout in its working directory."""
    command = [sys.executable, "-m", "crunchbed", "judge", str(bundle), "--json"]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/bin", "HOME": "/nonexistent"},
    )


@pytest.mark.skipif(closed_to_nobody(), reason=f"nobody may not read {ROOT}")
def test_a_run_becomes_a_bundle_that_nobody_judges_alike(tmp_path: Path) -> None:
    settings = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
    # By `compare`, which makes a run again that a busy machine has disturbed.
    out = tmp_path / "out"
    command = run("compare", "control", "--policies", "memalloc", *settings, "--out", out)
    assert command.popen.returncode == 0, (command.errors, command.output)
    directory = out / "memalloc-1"
    result = json.loads((directory / "result.json").read_bytes())
    texts = [one["text"] for one in result["expectations"] if one["holds"]]
    assert "after: writes_acknowledged > 10" in texts
    assert result["totals"]["phases"]["after"]["phase_seconds"] == pytest.approx(1, abs=0.3)

    captures = {path.name: path.stat().st_size for path in (directory / "captures").iterdir()}
    assert set(captures) == {"n1.pcap", "n2.pcap", "n3.pcap", "storage.pcap"}
    assert min(captures.values()) > 10_000
    heartbeats = tcpdump(directory / "captures" / "n1.pcap", "udp port 7405")
    assert len(heartbeats) > 100

    # pytest's directories are root's alone.
    with tempfile.TemporaryDirectory() as place:
        bundle = Path(place) / "run.crunchbed.tar.gz"
        packed = run("bundle", directory, "--out", bundle)
        assert packed.popen.returncode == 0, packed.errors
        Path(place).chmod(0o755)
        ended = judged_by_nobody(bundle)
    assert ended.returncode == 0, ended.stderr
    record = json.loads(ended.stdout)
    assert record.pop("recorded") == {"verdict": "pass", "changed": {}}
    assert record == result


TEST = f"""
import pytest

from reserve_agent.contract.events.membership import FenceStarted

SETTINGS = {QUICK!r}

@pytest.mark.scenario("control", policy="none", settings=SETTINGS)
def test_quiet(crunchbed_run):
    assert crunchbed_run.verdict == "pass", crunchbed_run.reasons
    assert crunchbed_run["after.heartbeats_missed"] == 0
    assert crunchbed_run.history.of(FenceStarted) == ()

@pytest.mark.scenario("control", policy="none", settings=SETTINGS)
def test_wrong(crunchbed_run):
    assert crunchbed_run["heartbeats_sent"] == 0
"""


def test_a_scenario_as_a_pytest_test(tmp_path: Path) -> None:
    (tmp_path / "test_cluster.py").write_text(TEST)
    kept, report = tmp_path / "kept", tmp_path / "junit.xml"
    command = [sys.executable, "-m", "pytest", "-q", str(tmp_path), f"--crunchbed-runs={kept}"]
    ended = subprocess.run(
        [*command, f"--junit-xml={report}", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "1 failed, 1 passed" in ended.stdout, ended.stdout
    place = next(one for one in kept.iterdir() if "-disturbed-" not in one.name)
    assert f"control, none, seed 1: pass, {place}" in ended.stdout
    assert (place / "history.jsonl").exists()
    root = ElementTree.parse(report).getroot()  # noqa: S314 - our own
    assert {one.attrib["value"] for one in root.iter("property")} == {str(place)}
