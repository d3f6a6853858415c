"""A run's metrics made again from its history."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from crunchbed.backends.common.targets import labels_of
from crunchbed.cli import app
from crunchbed.prometheus import blocks
from crunchbed.prometheus.openmetrics import definition_of
from crunchbed.scenario.loader import load
from nodes.membership.datagram import tag_of

MS = 1_000_000
SECOND = 1000 * MS
UNIX = 1_800_000_000 * SECOND
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing")
CONFIG = {"kind": "pool.config", "total": 16384, "clean": 8192, "reserve": 256, "policy": "none"}
SAMPLE = {
    **dict.fromkeys(("demand", "rx_running", "rx_stalled", "hoarded", "tx"), 0),
    "kind": "pool.sample",
    "free": 200,
    "dirty": 50,
    "low_water": 150,
}
ROW = {"hook": "receive", "class": "block-io", "verdict": "pass", "reason": "from_reserve"}


def event(ms: float, node: str, **fields: Any) -> dict[str, Any]:
    return {"t": round(ms * MS), "node": node, **fields}


def history() -> list[dict[str, Any]]:
    """Three nodes; n1 is under pressure from 2 s to 4 s and drops a heartbeat to n2 then."""
    clock = {"monotonic_ns": 0, "unix_ns": UNIX}
    tag = tag_of(0, 0, 7)
    drop = {"reason": "tx_stalled", "cls": "heartbeat", "src": "10.77.0.1", "dst": "10.77.0.2"}
    made = [
        event(0, "run", kind="phase", name="start"),
        event(100, "run", kind="run.info", clock=clock),
        *(event(200, node, **CONFIG, metrics_port=4000, computed=58) for node in ("n1", "n2")),
        event(300, "n1", kind="heartbeat.sent", seq=1, peers=["n2", "n3"], tag=tag_of(0, 0, 1)),
        event(2000.5, "n1", kind="pressure.begin", free=256),
        event(2400, "n1", **SAMPLE),
        event(2500, "n1", kind="drop", hook="transmit", tag=tag, pages=1, **drop),
        event(3000.5, "n2", kind="heartbeat.miss", peer="n1", seq=7, deadline=3000 * MS, tag=tag),
        event(4000.5, "n1", kind="pressure.end", since=2000, duration_ns=2 * SECOND),
        event(4500, "n1", kind="write.ack", submitted=4400 * MS, transport="nbd"),
        event(6050, "n1", kind="packets", table=[{**ROW, "packets": 12, "pages": 24}]),
        event(6100, "run", kind="phase", name="end"),
    ]
    return sorted(made, key=lambda one: int(one["t"]))


def make_run(directory: Path, run: str = "abcd", policy: str = "none") -> Path:
    directory.mkdir(parents=True)
    lines = b"".join(orjson.dumps(one) + b"\n" for one in history())
    (directory / "history.jsonl").write_bytes(lines)
    (directory / "run.json").write_bytes(orjson.dumps({"run": run}))
    scenario = load("control").with_overrides({"policy": policy}).resolved()
    (directory / "scenario.json").write_bytes(orjson.dumps(scenario))
    return directory


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def text_of(run: Path, interval_ns: int = SECOND) -> str:
    (found,) = blocks.find_runs([run])
    return "".join(blocks.timeline_of(found, interval_ns).text())


def values(text: str, name: str, **labels: str) -> dict[float, float]:
    """Values of one series by seconds since the run's begin."""
    found = {}
    for line in text.splitlines():
        start, _, rest = line.partition("} ")
        if start.startswith(f"{name}{{") and all(f'{k}="{v}"' in start for k, v in labels.items()):
            value, moment = rest.split()
            found[round(float(moment) - UNIX / SECOND, 3)] = float(value)
    return found


def test_a_scrape_each_second_and_one_at_the_end(run: Path) -> None:
    sent = values(text_of(run), "crunchbed_heartbeats_sent_total", node="n1")
    assert sent == dict.fromkeys([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.1], 2.0)
    finer = values(text_of(run, SECOND // 2), "crunchbed_heartbeats_sent_total", node="n1")
    assert len(finer) == 13


def test_no_two_points_are_in_one_millisecond(run: Path) -> None:
    some = [one for one in history() if one["t"] < 301 * MS]
    for offset in (0.2, 0.5, 0.9):
        made = [*some, event(310 + offset, "run", kind="phase", name="end")]
        made[1] = event(
            100, "run", kind="run.info", clock={"monotonic_ns": 499_999, "unix_ns": UNIX}
        )
        (run / "history.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in made))
        text = text_of(run, MS)
        points = re.findall(r"^(crunchbed_pages_free\S+) \S+ (\S+)$", text, re.MULTILINE)
        assert len(points) == len(set(points)) == 2 * (311 - 200 + 1)


def test_the_pool_is_known_at_the_begin_and_the_end_of_pressure(run: Path) -> None:
    text = text_of(run, SECOND // 10)
    active = values(text, "crunchbed_pressure_active", node="n1")
    assert {at for at, value in active.items() if value} == {
        round(at / 10, 1) for at in range(21, 41)
    }
    free = values(text, "crunchbed_pages_free", node="n1")
    assert (free[2.0], free[2.1], free[2.5]) == (8192, 256, 200)
    assert values(text, "crunchbed_pages_low_water", node="n1")[6.1] == 150


def test_every_miss_has_the_cause_that_the_checks_find(run: Path) -> None:
    """The sender's own hook dropped it: no live exporter of the observer knows that."""
    text = text_of(run)
    missed = values(text, "crunchbed_heartbeats_missed_total", node="n2", peer="n1")
    assert missed == dict.fromkeys([4.0, 5.0, 6.0, 6.1], 1.0)
    assert 'cause="stalled_sender"' in text
    assert 'cause="unknown"' not in text


def test_packets_are_known_at_the_end(run: Path) -> None:
    labels = {"class": "block-io", "reason": "from_reserve", "verdict": "pass"}
    assert values(text_of(run), "crunchbed_packets_total", **labels) == {6.1: 12.0}


def test_what_was_never_there_is_not_made_up(run: Path) -> None:
    text = text_of(run)
    assert 'node="n3"' not in text
    assert "crunchbed_switch" not in text
    assert "crunchbed_scrape_seconds" not in text


def test_every_series_has_the_labels_of_a_live_one(run: Path) -> None:
    (found,) = blocks.find_runs([run])
    labels = {"job": "crunchbed", **labels_of("abcd", found.scenario)}
    assert len(labels) == 7
    for line in text_of(run).splitlines():
        if not line.startswith("#"):
            assert all(f'{name}="{value}"' in line for name, value in labels.items())
            assert 'instance="n1",' in line or 'instance="n2",' in line


def test_a_simulated_run_was_when_it_was_made(run: Path) -> None:
    """Its history is the same on every day, and its run's id is that of all simulated runs."""
    clock = {"monotonic_ns": 0, "unix_ns": UNIX}
    made = [{**one, "clock": None} if one["kind"] == "run.info" else one for one in history()]
    (run / "history.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in made))
    record = {"run": "simulated", "backend": "simulation", "clock": clock}
    (run / "run.json").write_bytes(orjson.dumps(record))
    sent = values(text_of(run), "crunchbed_heartbeats_sent_total", node="n1", run="run")
    assert sent == dict.fromkeys([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.1], 2.0)


def test_nobody_can_scrape_a_simulated_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "control", "--backend", "simulation", "--prometheus"]
    assert app.main([*words, "--out", str(tmp_path / "out")]) == 2
    assert "crunchbed replay-metrics RUN" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_it_is_openmetrics(run: Path) -> None:
    """Moment by moment: the parser cannot take a histogram of several moments."""
    lines = text_of(run).splitlines()
    assert lines[-1] == "# EOF"
    heads: dict[str, list[str]] = {}
    moments: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines[:-1]:
        if line.startswith("# TYPE"):
            family = line.split()[2]
            assert family not in heads, "a family is in one piece"
            heads[family] = [line]
        elif line.startswith("#"):
            heads[family].append(line)
        else:
            moments[line.split()[-1]].append(line)
    for found in moments.values():
        whole: list[str] = []
        for line in found:
            sample = line.partition("{")[0]
            head = heads[f"crunchbed_{definition_of(sample).name}"]
            whole += [] if head[0] in whole else head
            whole.append(line)
        assert list(text_string_to_metric_families("\n".join([*whole, "# EOF\n"])))


@promtool
def test_prometheus_has_it_in_its_blocks(run: Path, tmp_path: Path) -> None:
    assert app.main(["replay-metrics", str(run), "--out", str(tmp_path / "out")]) == 0
    (tmp_path / "out" / "data" / "wal").mkdir()  # which a Prometheus makes, and a dump wants
    dumped = subprocess.run(
        ["promtool", "tsdb", "dump", str(tmp_path / "out" / "data")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    active = [line for line in dumped.splitlines() if "crunchbed_pressure_active" in line]
    assert len(active) == 14
    assert f" {UNIX // MS + 6100}" in dumped
    told = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "out" / "prometheus.yml")], check=True
    )
    assert told.returncode == 0


@promtool
def test_a_comparison_is_all_of_its_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("none", "memalloc"):
        make_run(tmp_path / "compared" / f"{name}-1", f"ab{name[:2]}", name)
    out = tmp_path / "out"
    arguments = ["replay-metrics", str(tmp_path / "compared"), "--out", str(out), "--json"]
    assert app.main(arguments) == 0
    told = orjson.loads(capsys.readouterr().out)
    assert [row["run"] for row in told["runs"]] == ["abme", "abno"]
    assert all(row["samples"] > 100 for row in told["runs"])
    assert told["command"][0] == "prometheus"
    assert not (out / "openmetrics.part").exists()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert app.main(["replay-metrics", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected the directory of a run" in refused(capsys, tmp_path)
    broken = make_run(tmp_path / "broken")
    (broken / "run.json").write_text("[]")
    assert "run.json: not what a run writes" in refused(capsys, broken, "--openmetrics")
    (broken / "run.json").unlink()
    assert "run.json: cannot be read" in refused(capsys, broken, "--openmetrics")


def test_a_history_that_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    (run / "history.jsonl").write_text('{"t": 1, "kind": "phase", "name": "start"}\n')
    assert "no run.info with a clock" in refused(capsys, run, "--openmetrics")
    lines = [orjson.dumps(one) for one in [*history(), event(9000, "n1", kind="pressure.end")]]
    (run / "history.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert "history.jsonl:14: pressure.end: duration_ns, since missing" in refused(
        capsys, run, "--openmetrics"
    )


def test_options_that_make_no_sense_are_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--interval: " in refused(capsys, run, "--interval", "soon")
    assert "at least 1ms" in refused(capsys, run, "--interval", "10us")
    assert "is not empty" in refused(capsys, run, "--out", run)
    other = make_run(run.parent / "other")
    assert "expected one run" in refused(capsys, run, other, "--openmetrics")
