"""Metrics of a live run, as Prometheus would fetch them."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from reserve_agent.contract.events.heartbeats import HeartbeatMissed
from reserve_agent.contract.events.pressure import PressureEnded
from tests.system.command import SHORT, Command, children

pytestmark = pytest.mark.root
ROOT = Path(__file__).resolve().parents[2]
NODES = ("n1", "n2", "n3")
LISTENING = "0A"
Scrape = dict[str, float]
"""Value by series, labels and all."""

# The node is ejected and boots again while it is being watched.
EJECTED = (
    *("long-crunch", "--policy", "none", *SHORT, "--set", "phases.control=1s"),
    *("--set", "crunch.depth=1", "--set", "crunch.jitter=0s", "--set", "crunch.every=1500ms"),
    *("--set", "crunch.length=1400ms", "--set", "phases.inject=1500ms"),
)


class Watched:
    """A run and all that was scraped of it, by node."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.texts: dict[str, list[str]] = {node: [] for node in NODES}
        self.listeners: dict[str, list[tuple[str, int]]] = {}
        self.ports: dict[str, int] = {}
        command = Command("run", *EJECTED, "--out", out)
        try:
            command.wait_for("control")
            self.ports = metrics_ports(out)
            for node in NODES:
                agent = children(command.popen.pid)[f"{node} agent"]
                self.listeners[node] = listening(agent)
            while command.popen.poll() is None:
                self._scrape()
                time.sleep(0.1)
            self.code = command.end()
        finally:
            command.kill()
        self.errors = command.errors

    def _scrape(self) -> None:
        for node, port in self.ports.items():
            try:
                self.texts[node].append(fetch("127.0.0.1", port))
            except (ConnectionError, http.client.HTTPException):
                continue  # the agents end with the run


def metrics_ports(out: Path) -> dict[str, int]:
    """Ports by node, from the histories that are being written."""
    ports = {}
    for node in NODES:
        lines = (out / "history" / f"{node}.jsonl").read_bytes().split(b"\n")[:-1]
        config = next(e for e in map(json.loads, lines) if e["kind"] == "pool.config")
        ports[node] = config["metrics_port"]
    return ports


def fetch(address: str, port: int) -> str:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def listening(pid: int) -> list[tuple[str, int]]:
    """Addresses (as the kernel writes them) and ports on which a process listens for TCP."""
    inodes = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}  # noqa: PTH115
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in inodes:
                address, _, port = fields[1].partition(":")
                found.append((address, int(port, 16)))
    return found


def parse(text: str) -> Scrape:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    watched = Watched(tmp_path_factory.mktemp("watched") / "out")
    # Whether the verdict is valid says how busy this machine was, and nothing of the exporters.
    assert (watched.out / "result.json").exists(), watched.errors
    assert (watched.out / "history.jsonl").exists(), watched.errors
    assert all(len(texts) > 10 for texts in watched.texts.values())
    yield watched


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("node", NODES)
def test_promtool_accepts_what_every_exporter_says(node: str, watched: Watched) -> None:
    texts = watched.texts[node]
    for text in (texts[0], texts[len(texts) // 2], texts[-1]):
        checked = subprocess.run(
            ["promtool", "check", "metrics"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_exporters_are_reached_from_this_machine_only(watched: Watched) -> None:
    loopback = "0100007F"
    expected = {node: [(loopback, port)] for node, port in watched.ports.items()}
    assert watched.listeners == expected
    assert len(set(watched.ports.values())) == len(NODES)


def test_every_metric_is_documented(watched: Watched) -> None:
    documented = set(re.findall(r"`(crunchbed_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    for node in NODES:
        families = set(re.findall(r"^# TYPE (\w+) ", watched.texts[node][-1], re.MULTILINE))
        assert families - documented == set()


def test_series_say_whose_they_are(watched: Watched) -> None:
    run_id = json.loads((watched.out / "run.json").read_bytes())["run"]
    for node in NODES:
        last = parse(watched.texts[node][-1])
        assert all(f'node="{node}"' in series for series in last)
        info = f'node="{node}",policy="none",run="{run_id}",scenario="long-crunch"'
        assert last[f"crunchbed_run_info{{{info}}}"] == 1


def test_counters_survive_the_reboot_of_their_node(watched: Watched) -> None:
    for node in NODES:
        scrapes = [parse(text) for text in watched.texts[node]]
        rising = re.compile(r"^crunchbed_\w+_(total|count|bucket|sum)\{")
        for before, after in pairwise(scrapes):
            for series, value in before.items():
                if rising.match(series):
                    assert after[series] >= value, series


def test_what_was_scraped_last_is_what_the_history_says(watched: Watched) -> None:
    """Up to what happened after the last look, which is none of the crunch."""
    result = Result.read(watched.out / "result.json")
    history = History.read(watched.out / "history.jsonl")
    assert result.totals.false_ejections == 1
    for node in NODES:
        last = parse(watched.texts[node][-1])
        figures = result.nodes[node]
        ejected = f'crunchbed_nodes_ejected_total{{false="true",node="{node}",' + (
            'reason="heartbeats_missed"}'
        )
        assert last[ejected] == figures.false_ejections
        assert last[f'crunchbed_pages_reserved{{node="{node}"}}'] == figures.reserve_pages
        sent = last[f'crunchbed_heartbeats_sent_total{{node="{node}"}}']
        assert 0.5 * figures.heartbeats_sent < sent <= figures.heartbeats_sent
        missed = sum(
            value
            for series, value in last.items()
            if series.startswith("crunchbed_heartbeats_missed_total")
        )
        assert missed <= len(history.of(HeartbeatMissed, node))
    pressed = 'crunchbed_pressure_duration_seconds_count{node="n1"}'
    assert parse(watched.texts["n1"][-1])[pressed] == len(history.of(PressureEnded, "n1"))
