"""``--prometheus``: real runs recorded by a real Prometheus, and what is left of it afterwards."""

from __future__ import annotations

import http.client
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crunchbed.backends.common import targets
from crunchbed.checks.result import Result
from crunchbed.host import leaks
from crunchbed.prometheus import blocks
from crunchbed.prometheus import server as prometheus_server
from crunchbed.prometheus.server import Prometheus
from nodes.process import start_ticks
from nodes.waiting import wait_until
from tests.system.command import SHORT, Command, run, traces

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
]
BRIDGE = ("--set", "cluster.switch=linux-bridge", "--set", "phases.control=1s")
# With `none` the node is ejected, with `memalloc` it is not.
COMPARED = (
    *("long-crunch", "--policies", "none,memalloc", *SHORT, *BRIDGE),
    *("--set", "crunch.depth=1", "--set", "crunch.jitter=0s", "--set", "crunch.every=2500ms"),
    *("--set", "crunch.length=2s", "--set", "phases.inject=2500ms"),
)
LOST_TO_TIME = ("crunchbed_scrape_seconds", "crunchbed_heartbeats_missed_total")
"""Nobody scrapes a run that is over; and afterwards every miss has its cause."""


@dataclass
class Compared:
    """Two runs, what Prometheus has of them, and what their histories say of that."""

    out: Path
    server: Prometheus
    command: Command
    runs: dict[str, blocks.Run] = field(default_factory=dict)

    def last(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Values of an expression at the end of all, by labels."""
        found = {}
        for row in self.server.query(expression):
            labels, value = row["metric"], row["value"]
            assert isinstance(labels, dict)
            assert isinstance(value, list)
            found[tuple(sorted(labels.items()))] = float(value[1])
        return found


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    out = tmp_path_factory.mktemp("compared") / "out"
    command = run("compare", *COMPARED, "--out", out, "--prometheus")
    assert (out / "comparison.json").exists(), command.errors
    server = Prometheus(out / "prometheus", prometheus_server.empty_config())
    try:
        judged = [out / "none-1", out / "memalloc-1"]  # not those that were disturbed before
        found = {one.scenario.policy: one for one in blocks.find_runs(judged)}
        yield Compared(out, server, command, found)
    finally:
        server.close()


def test_all_nodes_of_all_runs_are_recorded(compared: Compared) -> None:
    info = compared.last("last_over_time(crunchbed_run_info[10m])")
    labels = [dict(each) for each in info]
    wanted = [
        {**targets.labels_of(one.id, one.scenario), "instance": node}
        for one in compared.runs.values()
        for node in one.scenario.node_names
    ]
    assert len(compared.runs) == 2
    recorded = [{name: each[name] for name in wanted[0]} for each in labels]
    assert all(each in recorded for each in wanted)
    assert all(each["node"] == each["instance"] for each in labels)


def test_counters_end_where_a_replay_of_the_history_ends(compared: Compared) -> None:
    for one in compared.runs.values():
        timeline = blocks.timeline_of(one, 1_000_000_000)
        text = "".join(timeline.text())
        replayed = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            series, _, rest = line.rpartition("} ")
            name, _, pairs = series.partition("{")
            labels = dict(re.findall(r'(\w+)="([^"]*)"', pairs))
            replayed[tuple(sorted({**labels, "__name__": name}.items()))] = float(rest.split()[0])
        selector = f'{{__name__=~"crunchbed_.*_(total|count|sum|bucket)",run="{one.id}"}}'
        live = compared.last(f"last_over_time({selector}[10m])")
        compare = {
            labels: value
            for labels, value in live.items()
            if not dict(labels)["__name__"].startswith(LOST_TO_TIME)
        }
        assert len(compare) > 200
        different = {
            labels: (value, replayed.get(labels))
            for labels, value in compare.items()
            if replayed.get(labels) != pytest.approx(value)
        }
        # Packets go on, ARP for one, between the last scrape and the last look at the counters.
        assert all("crunchbed_packets_total" in dict(each).values() for each in different)


def test_figures_are_those_of_the_results(compared: Compared) -> None:
    for policy, one in compared.runs.items():
        totals = Result.read(compared.out / f"{policy}-1" / "result.json").totals
        where = f'run="{one.id}"'
        figures = {
            f'sum(last_over_time(crunchbed_nodes_ejected_total{{{where},false="true"}}[10m]))': (
                totals.false_ejections
            ),
            f"sum(last_over_time(crunchbed_block_io_seconds_count{{{where}}}[10m]))": (
                totals.writes_acknowledged
            ),
            f"sum(last_over_time(crunchbed_pressure_duration_seconds_count{{{where}}}[10m]))": (
                totals.pressure_episodes
            ),
            f"sum(last_over_time(crunchbed_writes_lost_total{{{where}}}[10m]))": totals.writes_lost,
        }
        for expression, figure in figures.items():
            (value,) = compared.last(expression).values()
            assert value == figure, expression


def test_rules_were_evaluated_while_it_went(compared: Compared) -> None:
    run_id = compared.runs["none"].id
    for name in ("CrunchbedNodeUnderPressure", "CrunchbedFalseEjection"):
        fired = compared.last(f'count_over_time(ALERTS{{alertname="{name}",run="{run_id}"}}[10m])')
        assert fired, name
    ratio = compared.last(f'min_over_time(crunchbed:reserve_free:ratio{{run="{run_id}"}}[10m])')
    assert all(0 <= value <= 1 for value in ratio.values())
    assert len(ratio) == 3


def test_it_says_where_it_is_and_ends_with_the_command(compared: Compared) -> None:
    (there,) = [line for line in compared.command.errors if line.startswith("prometheus: http")]
    port = int(there.rpartition(":")[2])
    with pytest.raises(ConnectionError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=5).request("GET", "/-/ready")
    (again,) = [line for line in compared.command.errors if "to look at its data" in line]
    assert str(compared.out / "prometheus" / "data") in again


def test_no_target_outlives_its_run(compared: Compared) -> None:
    for one in compared.runs.values():
        assert targets.files_of(one.id) == []
        assert traces(one.id) == []


def test_it_dies_with_a_command_that_is_killed(tmp_path: Path) -> None:
    command = Command("run", "control", *BRIDGE, "--out", tmp_path / "out", "--prometheus")
    pid = run_id = None
    try:
        command.wait_for("control", 60)
        run_id = command.run_id
        data = f"--storage.tsdb.path={tmp_path / 'out' / 'prometheus' / 'data'}"
        pid = next(
            int(path.parent.name)
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if data in _arguments(path)
        )
    finally:
        command.kill()
    assert pid is not None
    assert run_id is not None
    wait_until(lambda: start_ticks(pid) is None, 5, "the end of Prometheus")
    assert len(targets.files_of(run_id)) == 3
    leaks.clean_run(run_id)
    assert targets.files_of(run_id) == []
    assert traces(run_id) == []


def _arguments(path: Path) -> list[str]:
    try:
        return path.read_text().split("\0")
    except OSError:
        return []
