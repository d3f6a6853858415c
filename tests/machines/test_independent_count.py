"""Heartbeats and writes, counted by programs that know nothing of ours: tcpdump and nbdkit's log.

The guests' kernels send and receive on their own; tcpdump records the switch ports of their links.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from crunchbed.backends.machines.disk import first_block, region_blocks
from crunchbed.checks.result import Result
from crunchbed.history.history import History
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from nodes.membership.turn import REPORT_NS
from reserve_agent.contract.events.heartbeats import HeartbeatReceived, HeartbeatSent
from reserve_agent.contract.events.run import PhaseBegan
from reserve_agent.contract.events.writes import WriteAcknowledged
from tests.system.command import run

pytestmark = pytest.mark.root

SETTINGS = {
    "cluster.backend": "machines",
    "cluster.switch": "linux-bridge",
    "traffic.rate": "0",
    "capture": "true",
    "phases.control": "2s",
    "phases.inject": "4s",
}
BLOCK = 4096
TAG_BYTES = 8
LOGGED = re.compile(r"connection=(\d+) (\.\.\.)?Write id=(\d+) (.*)")
OFFSET = re.compile(r"offset=0x([0-9a-f]+) count=0x([0-9a-f]+)")


@pytest.fixture
def nbdkit_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of whatever nbdkit the test starts: found first in PATH, it adds its log filter."""
    real = shutil.which("nbdkit")
    assert real is not None
    log, place = tmp_path / "nbdkit.log", tmp_path / "bin"
    place.mkdir()
    script = place / "nbdkit"
    script.write_text(f'#!/bin/sh\nexec {real} --filter=log "$@" logfile={log} logappend=true\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    return log


def written_blocks(log: Path) -> Counter[int]:
    """How often nbdkit wrote each block of the disk, by the requests that it answered with 0."""
    asked: dict[tuple[str, str], str] = {}
    written: Counter[int] = Counter()
    for line in log.read_text().splitlines():
        if (found := LOGGED.search(line)) is None:
            continue
        connection, answer, number, rest = found.groups()
        if not answer:
            asked[connection, number] = rest
        elif rest.startswith("return=0"):
            place = OFFSET.match(asked.pop((connection, number)))
            assert place is not None, line
            offset, count = (int(text, 16) for text in place.groups())
            written.update(range(offset // BLOCK, (offset + count) // BLOCK))
    return written


def datagrams(capture: Path, port: int) -> Iterator[tuple[str, str, str]]:
    """Yield sender, receiver and tag of every UDP datagram to a port in a file of tcpdump."""
    data = capture.read_bytes()
    assert struct.unpack_from("<I", data)[0] == 0xA1B2C3D4
    at = 24
    while at < len(data):
        kept = struct.unpack_from("<I", data, at + 8)[0]
        frame, at = data[at + 16 : at + 16 + kept], at + 16 + kept
        if frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        udp = 14 + 4 * (frame[14] & 15)
        if struct.unpack_from(">H", frame, udp + 2)[0] == port:
            source, target = (".".join(map(str, frame[i : i + 4])) for i in (26, 30))
            yield source, target, frame[udp + 8 : udp + 8 + TAG_BYTES].hex()


def recorded(tmp_path: Path) -> tuple[Path, Scenario, History]:
    """Run the control on three machines; return its directory, scenario and history."""
    out = tmp_path / "out"
    options = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    command = run("run", "control", *options, "--policy", "memalloc", "--out", out)
    assert command.popen.returncode == 0, (command.errors, command.output)
    scenario = load("control").with_overrides(SETTINGS)
    return out, scenario, History.read(out / "history.jsonl")


def test_tcpdump_and_nbdkit_count_what_the_run_counts(tmp_path: Path, nbdkit_log: Path) -> None:
    out, scenario, history = recorded(tmp_path)
    assert Result.read(out / "result.json").totals.heartbeats_sent > 100
    written = written_blocks(nbdkit_log)
    sent_at = {one.tag: one.t for one in history.of(HeartbeatSent)}
    end = next(phase.t for phase in history.of(PhaseBegan) if phase.name == "collect")
    for name in scenario.node_names:
        seen = Counter(datagrams(out / "captures" / f"{name}.pcap", scenario.heartbeat.port))
        # What a guest sends while its power is taken away may never reach the wire.
        sent = [one for one in history.of(HeartbeatSent, name) if one.tag and one.t < end]
        assert len(sent) > 40
        frames = Counter[str]()
        for (_, _, tag), times in seen.items():
            frames[tag] += times
        for one in sent:
            assert not isinstance(one.peers, int)
            assert frames[str(one.tag)] == len(one.peers), (name, one.seq)
        own = {one.tag for one in sent}
        # A switch floods to every port what is for a machine that has not booted yet.
        addresses = {source for (source, _, tag) in seen if tag in own}
        since = sent[0].t - scenario.heartbeat.interval
        up = {str(tag) for tag, t in sent_at.items() if t >= since}
        came = sum(n for (_, target, tag), n in seen.items() if target in addresses and tag in up)
        told = sum(sum(one.counts.values()) for one in history.of(HeartbeatReceived, name))
        # What has come since a node's last report is on the wire, and in nobody's count yet.
        of_a_report = REPORT_NS // scenario.heartbeat.interval + 2
        assert 0 <= came - told <= of_a_report * (len(scenario.node_names) - 1), (name, came, told)

        first, length = first_block(scenario, name), region_blocks(scenario)
        acknowledged: Counter[int] = Counter()
        for ack in history.of(WriteAcknowledged, name):
            acknowledged.update(range(ack.block, ack.block + ack.blocks))
        logged = Counter(
            {block: n for block, n in written.items() if first <= block < first + length}
        )
        under_way = scenario.block_io.queue_depth * scenario.block_io.request // BLOCK
        assert acknowledged <= logged, name
        assert (logged - acknowledged).total() <= under_way, name
