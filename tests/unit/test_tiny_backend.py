"""Whole runs on a backend without root and without waiting: what a run knows is the seam alone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from crunchbed import backends
from crunchbed.archive.rejudge import rejudge
from crunchbed.checks import judge
from crunchbed.checks.result import Result
from crunchbed.history.history import History
from crunchbed.run import engine
from crunchbed.scenario.loader import load
from reserve_agent.contract.events.faults import PortDown, PortUp
from reserve_agent.contract.events.membership import NodeEjected, ViewInstalled
from reserve_agent.errors import BadInput
from tests.unit.test_imports import sources
from tests.unit.tiny_backend import TinyBackend

LIMIT_SECONDS = 1.0


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scenario is run by the tiny backend."""
    monkeypatch.setitem(backends.BACKENDS, "namespaces", TinyBackend)


def run(name: str, out: Path, **changes: object) -> tuple[Result, History]:
    result = engine.run(load(name).with_overrides(changes), out=out)
    assert (out / "report.html").stat().st_size > 10_000
    assert Result.read(out / "result.json") == result
    return result, History.read(out / "history.jsonl")


def test_control_passes_from_scenario_to_report(tmp_path: Path) -> None:
    began = time.process_time()
    result, history = run("control", tmp_path / "out")
    assert time.process_time() - began < LIMIT_SECONDS
    assert (result.verdict, result.reasons) == ("pass", ())
    assert result.totals.heartbeats_missed == result.totals.nodes_ejected == 0
    assert result.totals.heartbeats_sent > 500
    assert result.totals.writes_acknowledged > 1000
    assert history.missing_phases() == []
    assert (history.numbered, history.damage, history.audited) == (True, (), ())
    assert rejudge(tmp_path / "out")[1] == result


def test_a_link_that_fails_is_found_out_and_its_node_joins_again(tmp_path: Path) -> None:
    began = time.process_time()
    result, history = run("link-down", tmp_path / "out")
    assert time.process_time() - began < LIMIT_SECONDS
    assert (result.verdict, result.reasons) == ("pass", ())
    totals = result.totals
    assert (totals.true_ejections, totals.false_ejections, totals.flaps) == (1, 0, 1)
    assert totals.misses_by_cause["link"] == totals.heartbeats_missed > 5
    assert totals.detection_delay_seconds == pytest.approx(0.5, abs=0.2)
    (down,), (up,) = history.of(PortDown), history.of(PortUp)
    assert 3.0 <= (up.t - down.t) / 1e9 < 3.1
    (ejected,) = history.of(NodeEjected, "n1")
    assert not ejected.false
    assert history.of(ViewInstalled, "n1")[-1].members == ["n1", "n2", "n3"]


def test_a_check_that_fails_leaves_a_result_a_report_and_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("no heartbeat at all")

    monkeypatch.setattr(judge.crunch, "check", broken)
    out = tmp_path / "out"
    result, history = run("control", out)
    assert (result.verdict, result.exit_code) == ("unknown", 3)
    assert len(result.reasons) == 1
    assert result.reasons[0].startswith("a check failed (")
    assert result.reasons[0].endswith("broken: ZeroDivisionError('no heartbeat at all'))")
    assert "a check failed (" in (out / "report.html").read_text()
    assert history.missing_phases() == []
    log = (out / "logs" / "judge.log").read_text()
    assert log.startswith("Traceback (most recent call last):\n")
    assert f"in {broken.__name__}\n" in log
    assert log.endswith("ZeroDivisionError: no heartbeat at all\n")
    monkeypatch.undo()
    assert rejudge(out)[1].verdict == "pass", "the history is whole, and can be judged again"


def test_checks_that_hold_leave_no_log(tmp_path: Path) -> None:
    run("control", tmp_path / "out")
    assert not (tmp_path / "out" / "logs" / "judge.log").exists()


def test_a_run_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    runs = [run("link-down", tmp_path / str(number))[1].events for number in range(2)]
    one, other = ([(event.t, event.node, event.kind) for event in each] for each in runs)
    assert one == other


def test_what_it_cannot_do_is_refused_before_anything_starts(tmp_path: Path) -> None:
    faults = [{"kind": "stall"}, {"kind": "link-down"}, {"kind": "loss"}]
    scenario = load("writeback-crunch").with_overrides({"faults": faults})
    with pytest.raises(BadInput) as refused:
        engine.run(scenario, out=tmp_path / "out", hold=True)
    said = "backend tiny: faults: stall; faults: loss; crunch: these nodes have no memory; nobody "
    assert str(refused.value).startswith(said)
    assert not (tmp_path / "out").exists()


BARE = """
import ctypes, sys
ABSENT = ("mininet", "pyroute2", "nbd", "os_ken")
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ImportError(f"no {name} here")
class Library(ctypes.CDLL):
    def __init__(self, name, *more, **settings):
        if "bpf" in str(name):
            raise OSError(f"no {name} here")
        super().__init__(name, *more, **settings)
sys.meta_path.insert(0, Absent())
ctypes.CDLL = Library
import crunchbed.checks.judge, crunchbed.run.engine, crunchbed.scenario.loader
import reserve_agent.model.node, nodes.membership.protocol
"""


def test_a_run_needs_nothing_of_a_backend_that_it_does_not_use() -> None:
    """Such as Mininet, libbpf and pyroute2, which an ordinary user may lack."""
    bare = [sys.executable, "-c", BARE]
    ended = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_a_run_imports_no_backend() -> None:
    wrong = [
        f"{path} imports {module}"
        for path, modules in sources().items()
        for module in modules
        if path.startswith(("crunchbed/run/", "crunchbed/checks/", "crunchbed/report/"))
        and not path.startswith("crunchbed/run/faults/")
        and module.startswith("crunchbed.backends.")
    ]
    assert wrong == []
