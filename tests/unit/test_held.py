"""Commands on a live run, without one: what is asked for, what is refused, what is said of it."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.checks.result import Result
from crunchbed.cli import app
from crunchbed.cli.crunch import outcome
from crunchbed.host.run_ids import RunClaim
from crunchbed.live import runs
from crunchbed.live.summary import NodeSummary, read_summary
from crunchbed.report.actions_taken import actions_taken
from crunchbed.run.held.scenario import with_crunch, with_flood_reader, without_plan
from crunchbed.run.plan import draw
from crunchbed.scenario.crunch import FloodCrunch
from crunchbed.scenario.loader import load
from reserve_agent.errors import BadInput
from reserve_agent.lines.framing import Message
from reserve_agent.lines.server import LineServer
from tests.unit.recording import Recording

Captured = pytest.CaptureFixture[str]
COMMANDS = ("status", "crunch", "link", "shell", "down")


def test_what_is_recorded_has_no_plan_and_what_is_started_has_a_reader() -> None:
    scenario = load("writeback-crunch")
    bare = without_plan(scenario)
    assert (bare.crunch, bare.faults, bare.expect) == (None, (), ())
    assert bare.memory == scenario.memory
    reader = with_flood_reader(scenario.with_overrides({"traffic.port": 9001})).crunch
    assert isinstance(reader, FloodCrunch)
    assert reader.port == 9002
    own = with_flood_reader(load("unthrottled-socket")).crunch
    assert own == load("unthrottled-socket").crunch


def test_a_crunch_is_drawn_as_asked_for_and_begins_at_once() -> None:
    scenario = with_flood_reader(load("control"))
    timed = draw(with_crunch(scenario, "n2", {"kind": "timed", "length": "200ms"}), 0)
    assert timed is not None
    assert (timed.target, timed.delay_ns, timed.windows) == ("n2", 0, ((0, 200_000_000, 128),))
    asked = {"kind": "timed", "length": "50us", "count": 3, "every": "10ms"}
    many = draw(with_crunch(scenario, "n2", asked), 0)
    assert many is not None
    assert [end - start for start, end, _ in many.windows] == [50_000] * 3
    flood = draw(with_crunch(scenario, "n1", {"kind": "flood", "rate": 9}), 0)
    assert flood is not None
    assert flood.flood is not None
    assert (flood.flood.rate, flood.flood.port) == (9, 9001)
    with pytest.raises(BadInput, match=r"crunch\.\w*\.?depth"):
        with_crunch(scenario, "n1", {"kind": "timed", "length": "1ms", "depth": 3})


def test_actions_taken_are_told_by_time() -> None:
    recording = Recording().complete()
    recording.add(1000, "crunch.begin", target="n1", crunch="timed", requested={}, windows=[])
    recording.pressure(1100, 1300, "n1").miss(1200, "n2", "n1", 7)
    recording.add(1400, "crunch.end", target="n1", crunch="timed")
    recording.fault(2000, 2500, "link-down", "n2")
    recording.add(50, "pool.config", "n3", policy="memalloc")
    recording.add(3000, "pool.config", "n3", policy="memalloc")
    recording.add(3100, "pool.config", "n3", policy="none")
    assert actions_taken(recording.history()) == [
        "   0.900 s  n1: timed crunch, 0.200000 s of pressure, 1 heartbeats missed meanwhile",
        "   1.900 s  n2: link-down for 0.500 s",
        "   3.000 s  n3: policy none",
    ]


def _state(**more: Any) -> NodeSummary:
    return NodeSummary(agent=True, up=True, **more)


def test_what_came_of_a_crunch_is_told_from_the_states_around_it() -> None:
    before = {"n1": _state(pressure_ns=5, pressure_episodes=1), "n2": _state(misses=3)}
    after = {
        "n1": _state(pressure_ns=200_000_005, pressure_episodes=2),
        "n2": _state(misses=5),
    }
    said = "0.200000 s of pressure, 2 heartbeats missed, nobody ejected"
    assert outcome("n1", before, after).text("n1") == said
    assert outcome("n2", before, after).text("n2").startswith("no pressure")
    fenced = outcome("n1", before, {**after, "n1": _state(boots=1)})
    assert fenced.text("n1") == "it was cut off, 2 heartbeats missed, ejected: n1"
    assert (fenced.pressure_seconds, fenced.nodes_ejected, fenced.ejected) == (None, 1, ("n1",))


class FakeRun:
    """A live run of this process that answers on its control socket."""

    def __init__(self, root: Path) -> None:
        self.state = RunClaim.claim(root)
        self.heard: list[Message] = []
        self.answers: dict[str, Message] = {}
        self.ends_at = ""  # the operation whose answer is its last
        self._selector = selectors.DefaultSelector()
        self._server = LineServer(self.state.path / "run", self._selector, self._answer)
        self._ending = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _answer(self, message: Message) -> Message:
        self.heard.append(message)
        if message["op"] == self.ends_at:
            self.state.release()
        return self.answers.get(message["op"], {"ok": True})

    def _serve(self) -> None:
        while not self._ending:
            for key, _ in self._selector.select(0.01):
                key.data()

    def end(self) -> None:
        self._ending = True
        self._thread.join()
        self._server.close()
        self._selector.close()
        self.state.release()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where live runs are looked for, by root."""
    monkeypatch.setattr(runs, "STATE_ROOT", tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return tmp_path


@pytest.fixture
def held(root: Path) -> Iterator[FakeRun]:
    run = FakeRun(root)
    yield run
    run.end()


def failing(captured: Captured, *argv: str) -> tuple[int, str]:
    """Exit code and the one line on stderr."""
    code = app.main(list(argv))
    (line,) = captured.readouterr().err.splitlines()
    return code, line


def arguments(command: str) -> list[str]:
    more = {"crunch": ["n1", "--for", "1ms"], "link": ["n1", "down"], "shell": ["n1"]}
    return [command, *more.get(command, [])]


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_live_run_it_says_how_to_start_one(
    command: str, root: Path, capsys: Captured
) -> None:
    code, line = failing(capsys, *arguments(command))
    assert code == 2
    assert "no run is going on" in line
    assert "crunchbed up" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_with_several_it_asks_which(
    command: str, held: FakeRun, root: Path, capsys: Captured
) -> None:
    other = RunClaim.claim(root)
    try:
        code, line = failing(capsys, *arguments(command))
    finally:
        other.release()
    assert code == 2
    assert "several runs are going on" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_only_root_may(command: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    code, line = failing(capsys, *arguments(command))
    assert code == 4
    assert "root" in line


@pytest.mark.parametrize("command", ["crunch", "link", "down"])
def test_a_run_that_is_not_held_open_takes_no_commands(
    command: str, root: Path, capsys: Captured
) -> None:
    with RunClaim.claim(root) as state:
        code, line = failing(capsys, *arguments(command))
        assert read_summary(state.run_id).held is False
    assert code == 2
    assert "takes no commands: `crunchbed up` does" in line


@pytest.mark.parametrize("argv", [["crunch", "n1", "--for", "1ms"], ["link", "n1", "up"]])
def test_a_run_that_ends_meanwhile_is_said_to_have_ended(
    argv: list[str], held: FakeRun, root: Path, capsys: Captured
) -> None:
    held.answers["status"] = {
        "nodes": {"n1": {"crunch": "timed", "link": "coming up"}},
        "storage": {"link": "up"},
    }
    held.answers["crunch"] = {"requested": {}}
    held.ends_at = "status" if argv[0] == "link" else "crunch"
    code, line = failing(capsys, *argv)
    assert (code, line) == (3, f"crunchbed: run {held.state.run_id} has ended")


def test_watching_ends_with_the_run_and_says_so(
    held: FakeRun, root: Path, capsys: Captured
) -> None:
    held.answers["status"] = {"nodes": {}, "storage": {"link": "up"}}
    held.ends_at = "status"
    assert app.main(["status", "--watch", "--every", "0.1"]) == 0
    assert capsys.readouterr().err == f"run {held.state.run_id} has ended\n"


def test_what_the_run_refuses_is_bad_input(held: FakeRun, capsys: Captured) -> None:
    held.answers["link"] = {"refused": "the link of n1 is down already"}
    assert failing(capsys, "link", "n1", "down") == (
        2,
        "crunchbed: the link of n1 is down already",
    )


def test_a_crunch_tells_the_run_its_keys(held: FakeRun, capsys: Captured) -> None:
    argv = ["crunch", "n1", "--for", "50us", "--count", "9", "--every", "10ms", "--no-wait"]
    held.answers["status"] = {"nodes": {}, "storage": {"link": "up"}}
    held.answers["crunch"] = {"requested": {}}
    assert app.main(argv) == 0
    (told,) = [message for message in held.heard if message["op"] == "crunch"]
    assert told["target"] == "n1"
    assert told["crunch"] == {"kind": "timed", "length": "50us", "count": 9, "every": "10ms"}
    assert "timed crunch begun" in capsys.readouterr().out


def told_as_json(captured: Captured, *argv: str) -> dict[str, Any]:
    assert app.main([*argv, "--json"]) == 0
    told: dict[str, Any] = orjson.loads(captured.readouterr().out)
    return told


def test_a_crunch_is_told_as_json(held: FakeRun, capsys: Captured) -> None:
    requested = {"kind": "timed", "target": "n1", "windows": 1, "level_pages": 128}
    held.answers["crunch"] = {"requested": requested}
    held.answers["status"] = {
        "nodes": {"n1": {"boots": 0, "crunch": None, "link": "up"}},
        "storage": {"link": "up"},
    }
    done = told_as_json(capsys, "crunch", "n1", "--for", "200ms")
    assert done == {
        "run": held.state.run_id,
        "node": "n1",
        "kind": "timed",
        "crunch_requested": requested,
        "over": True,
        "pressure_seconds": 0.0,
        "pressure_episodes": 0,
        "heartbeats_missed": 0,
        "nodes_ejected": 0,
        "ejected": [],
    }
    begun = told_as_json(capsys, "crunch", "n1", "--for", "200ms", "--no-wait")
    assert begun == {**dict(list(done.items())[:4]), "over": False}


def test_a_link_is_told_as_json(held: FakeRun, capsys: Captured) -> None:
    held.answers["status"] = {"nodes": {"n1": {"link": "down to a"}}, "storage": {"link": "up"}}
    assert told_as_json(capsys, "link", "n1", "down", "--network", "a") == {
        "run": held.state.run_id,
        "node": "n1",
        "network": "a",
        "state": "down",
        "link": "down to a",
    }


def test_a_policy_is_told_as_json(held: FakeRun, capsys: Captured) -> None:
    for name in ("n1", "n2"):
        (held.state.path / f"{name}.agent").touch()
    done = {"run": held.state.run_id, "nodes": ["n1", "n2"], "policy": "none"}
    assert told_as_json(capsys, "policy", "all", "none") == done
    assert told_as_json(capsys, "policy", "n2", "none") == {**done, "nodes": ["n2"]}
    assert [told["target"] for told in held.heard] == ["n1", "n2", "n2"]


def test_the_end_is_told_as_json(held: FakeRun, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "out"
    out.mkdir()
    held.answers["down"] = {"directory": str(out)}
    held.ends_at = "down"
    done = {"run": held.state.run_id, "verdict": None, "directory": str(out)}
    assert told_as_json(capsys, "down") == done


def test_the_end_has_its_verdict(held: FakeRun, tmp_path: Path, capsys: Captured) -> None:
    Result.not_measured(load("control"), 1, "a test").write(tmp_path / "result.json")
    held.answers["down"] = {"directory": str(tmp_path)}
    held.ends_at = "down"
    assert told_as_json(capsys, "down")["verdict"] == "invalid"


def test_a_refused_key_is_said_of_its_option(held: FakeRun, capsys: Captured) -> None:
    held.answers["status"] = {"nodes": {}, "storage": {"link": "up"}}
    held.answers["crunch"] = {"refused": "override crunch.timed.depth: expected 0 to 1, got 3"}
    code, line = failing(capsys, "crunch", "n1", "--for", "1ms", "--depth", "3")
    assert (code, line) == (2, "crunchbed: --depth: expected 0 to 1, got 3")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--for", "61min"], "--for: expected at most 3600s, got '61min'"),
        (["--kind", "flood", "--for", "2000min"], "--for: expected at most 3600s, got '2000min'"),
        (
            ["--kind", "flood", "--for", "60min"],
            "--for: expected less than 3600s with --kind flood, got 3600s",
        ),
        (["--for", "1ms", "--every", "61min"], "--every: expected at most 3600s, got '61min'"),
        (
            ["--for", "25min", "--count", "3"],
            "--count: expected all windows within 3600s, got 3 windows that need 4500s",
        ),
    ],
)
def test_a_crunch_that_lasts_too_long_is_refused_by_its_option(
    options: list[str], said: str, capsys: Captured
) -> None:
    assert failing(capsys, "crunch", "n1", *options) == (2, f"crunchbed: {said}")


@pytest.mark.parametrize("options", [["--for", "60min"], ["--for", "1min", "--count", "60"]])
def test_one_that_just_ends_in_time_is_a_crunch(options: list[str]) -> None:
    _, length, *more = options
    settings: dict[str, Any] = {"kind": "timed", "length": length}
    with_crunch(load("control"), "n1", settings | ({"count": int(more[1])} if more else {}))
