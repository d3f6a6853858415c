"""A run's progress: a view where there is a terminal, lines where there is none, or nothing."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import crunchbed.run.engine
from crunchbed.checks.result import Result
from crunchbed.cli import app
from crunchbed.experiments import attempts
from crunchbed.report.live_view import LiveView, View, picture
from crunchbed.report.progress import LineProgress
from crunchbed.run.progress import Progress, read_nodes
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import CrunchbedError
from tests.unit import judged_runs
from tests.unit.fault_world import CALM as A_NODE

CALM = replace(A_NODE, free_pages=8000, reserve_pages=256, view=("n1", "n2", "n3"))


def drawn(view: View, room: int = 20) -> str:
    """Return a view as text."""
    console = Console(file=io.StringIO(), width=110, record=True)
    console.print(picture(view, room))
    return console.export_text()


def view(**more: object) -> View:
    """Return a view of three nodes, changed as asked."""
    nodes = {"n1": replace(CALM, pressure=True, misses=7), "n2": CALM, "n3": None}
    fields = {
        "label": "writeback-crunch none seed 1",
        "phase": "inject",
        "spent": 2.25,
        "limit": 6.0,
        "left": 18.75,
        "nodes": nodes,
        "rates": {"n1": 1.5, "n2": 4.0},
    }
    return View(**{**fields, **more})  # type: ignore[arg-type]


def test_phase_time_left_and_every_node_are_shown() -> None:
    text = drawn(view())
    assert "inject: 2.2 s of at most 6 s, 19 s to go at most" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith(" n")}
    assert rows["n1"] == ["n1", "PRESSURE", "8000", "256", "7", "1.50", "3"]
    assert rows["n2"] == ["n2", "ok", "8000", "256", "0", "4.00", "3"]
    assert rows["n3"][:3] == ["n3", "no", "agent"]


def test_a_node_without_power_is_down_whatever_its_pool_says() -> None:
    assert "down" in drawn(view(nodes={"n1": replace(CALM, up=False, pressure=True)}))


def test_of_many_nodes_those_in_trouble_are_shown() -> None:
    nodes = {f"n{number}": CALM for number in range(1, 33)}
    nodes["n30"] = replace(CALM, pressure=True)
    nodes["n31"] = replace(CALM, misses=3)
    text = drawn(view(nodes=nodes, rates={}), room=3)
    assert "n30" in text
    assert "n31" in text
    assert "and 29 more nodes" in text


def test_before_there_is_a_cluster_only_the_phase_is_shown() -> None:
    assert "start: 1.0 s" in drawn(view(phase="start", spent=1.0, limit=None, left=None, nodes={}))


def test_rates_are_of_the_time_between_two_looks() -> None:
    now = [0.0]
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=110, height=30)
    one = LiveView(text, "x", judged_runs.scenario(), clock=lambda: now[0], console=console)
    pages = iter((0, 1024))
    one.watch(lambda: {"n1": replace(CALM, written_pages=next(pages))})
    one.phase("control", 4.0)
    for now[0] in (10.0, 10.1, 12.0):
        one.tick()
    one.note("n1 is ejected: fenced by n2")
    one.done()
    shown = text.getvalue()
    assert "2.00" in shown  # 4 MiB in 2 s
    assert "n1 is ejected" in shown


def test_of_a_cluster_that_is_held_open_nobody_knows_the_time_left() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=110, height=30)
    one = LiveView(text, "x", judged_runs.scenario(), clock=lambda: 0.0, console=console)
    one.phase("control", None)
    one.phase("inject", None)
    assert "inject: 0.0 s" in text.getvalue()
    assert "to go" not in text.getvalue()
    one.phase("recovery", 15.0)
    assert "of at most 15 s, 15 s to go at most" in text.getvalue()
    one.done()


def test_a_look_at_a_node_whose_agent_is_away_says_so() -> None:
    class Away:
        up = True

        def status(self) -> None:
            raise CrunchbedError("its agent is down")

    assert read_nodes({"n1": Away()}) == {"n1": None}  # type: ignore[dict-item]


# --- which one


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def watchers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Progress]:
    found: list[Progress] = []

    def run(
        scenario: Scenario,
        *,
        out: Path,
        progress: Progress,
        seed: int = 1,
        hold: bool = False,
        scraper: object = None,
    ) -> Result:
        found.append(progress)
        progress.phase("control", 1.0)
        return Result.not_measured(scenario, seed, "").model_copy(update={"verdict": "pass"})

    monkeypatch.setattr(crunchbed.run.engine, "run", run)
    monkeypatch.chdir(tmp_path)
    return found


def test_without_a_terminal_there_are_lines(
    watchers: list[Progress], capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["run", "control"]) == 0
    assert isinstance(watchers[0], LineProgress)
    assert "control (up to 1 s)" in capsys.readouterr().err


def test_so_it_is_for_a_cluster_that_is_held_open(
    watchers: list[Progress], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert app.main(["up", "control", "--json"]) == 0
    assert "control (up to 1 s)" in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr", Terminal())
    assert app.main(["up", "control", "--json"]) == 0
    assert [type(one) for one in watchers] == [LineProgress, LiveView]


@pytest.mark.parametrize("command", ["run", "compare", "up"])
def test_quiet_says_nothing(
    command: str, watchers: list[Progress], capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ("--set", "expect=[]", *(["--json"] if command == "up" else []))
    assert app.main([command, "control", "--quiet", *changes]) == 0
    assert {type(one) for one in watchers} == {Progress}
    assert "control (up to" not in capsys.readouterr().err


def test_on_a_terminal_there_is_the_view(
    watchers: list[Progress], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    attempts.execute(judged_runs.scenario(), 1, tmp_path)
    monkeypatch.setenv("TERM", "dumb")
    attempts.execute(judged_runs.scenario(), 1, tmp_path)
    assert [type(one) for one in watchers] == [LiveView, LineProgress]
