"""Whole runs with an OpenFlow controller: counts, shedding, and a controller that is killed."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from crunchbed.backends.namespaces.world import NamespacesWorld
from crunchbed.checks.result import Result
from crunchbed.experiments import attempts
from crunchbed.history.history import History
from crunchbed.run.supervisor import Supervisor
from crunchbed.scenario import loader
from reserve_agent.contract.events.pressure import PacketsCounted, PressureBegan
from reserve_agent.contract.events.run import RunInfo
from reserve_agent.contract.events.switches import (
    ControllerBack,
    ControllerLost,
    ControllerReady,
    OpenFlowMalformed,
    PressureRefused,
    ShedApplied,
)
from tests.system.command import traces

pytestmark = pytest.mark.root
# Heartbeats of a run that is not about them: a busy machine is not to disturb it.
SLOW = {"heartbeat.interval": "450ms", "heartbeat.misses": 2}
OPENFLOW = {"cluster.controller": "openflow", "phases.control": "1s", "phases.inject": "1s"}


def run(tmp_path: Path, scenario: str, **changes: object) -> tuple[Result, History]:
    """A run, repeated where the machine disturbed it; nothing is left of any."""
    chosen = loader.load(scenario).with_overrides({**OPENFLOW, **changes})
    out = tmp_path / "out"
    result = attempts.attempt(chosen, 1, out)
    history = History.read(out / "history.jsonl")
    (info,) = history.of(RunInfo)
    assert traces(info.run) == []
    assert result.verdict == "pass", result.reasons
    return result, history


Act = Callable[[NamespacesWorld, Supervisor], None]


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Act) -> None:
    """Do something once in the control phase, while heartbeats go on."""
    enter, wait = NamespacesWorld.__enter__, Supervisor.wait
    worlds: list[NamespacesWorld] = []
    done: list[bool] = []

    def entered(world: NamespacesWorld) -> NamespacesWorld:
        worlds[:] = [enter(world)]
        done.clear()
        return worlds[0]

    def waited(supervisor: Supervisor, seconds: float) -> None:
        if not done:
            done.append(True)
            act(worlds[0], supervisor)
        wait(supervisor, seconds)

    monkeypatch.setattr(NamespacesWorld, "__enter__", entered)
    monkeypatch.setattr(Supervisor, "wait", waited)


def received_by_hooks(history: History, node: str) -> Counter[str]:
    """Packets by class that the node's receive hook met, whatever became of them."""
    found: Counter[str] = Counter()
    for row in history.of(PacketsCounted, node)[-1].table:
        if row["hook"] == "receive":
            found[row["class"]] += row["packets"]
    return found


def test_the_switch_counts_what_the_hooks_count(tmp_path: Path) -> None:
    result, history = run(tmp_path, "control")
    assert (result.totals.heartbeats_missed, result.totals.switch_drops) == (0, 0)
    for node in ("n1", "n2", "n3"):
        hooks, switch = received_by_hooks(history, node), result.nodes[node].switch_packets
        for cls in ("block-io", "heartbeat", "other"):
            assert switch[cls] == hooks[cls] > 30, (node, cls)
        # ARP and ND of a node that starts are before the switch's first count, or after it.
        assert abs(switch["control"] - hooks["control"]) < 20, node
    assert history.of(ControllerLost) == ()


def test_a_flood_is_shed_at_the_switch_and_the_reaction_is_measured(tmp_path: Path) -> None:
    flood = {"crunch.duration": "1500ms", "phases.inject": "4s", "expect": [], **SLOW}
    result, history = run(tmp_path, "flood", **flood, shed="drop")
    totals = result.totals
    assert totals.nodes_ejected == totals.writes_lost == 0
    assert totals.shed_episodes is not None
    assert totals.shed_episodes >= 1
    assert totals.reaction_p50_seconds is not None
    assert 0 < totals.reaction_p50_seconds < 0.1
    begin, end = (next(e for e in history.of(ShedApplied) if e.on is on) for on in (True, False))
    # A first moment of pressure may be over before the agent looks.
    assert begin.pressure_at in {e.t for e in history.of(PressureBegan, "n1")}
    assert begin.pressure_at < begin.received_at < begin.in_force_at
    assert end.in_force_at > begin.in_force_at
    assert totals.switch_drops is not None
    assert totals.switch_drops > 2000, "of 9000, most came after the pressure had begun"
    hooks, switch = received_by_hooks(history, "n1"), result.nodes["n1"].switch_packets
    # Open vSwitch books packets of up to half a second by the rules that came after them.
    assert switch["other"] - hooks["other"] > 2000, "what never reached the node"


@pytest.mark.parametrize("mode", ["meter", "queue"])
def test_a_flood_is_held_to_a_rate(mode: str, tmp_path: Path) -> None:
    flood = {"crunch.duration": "1500ms", "phases.inject": "4s", "expect": [], **SLOW}
    shed = {"mode": mode, "rate": "200kbit"}
    result, _ = run(tmp_path, "flood", **flood, shed=shed)
    assert result.totals.nodes_ejected == result.totals.writes_lost == 0
    assert result.totals.shed_episodes is not None
    assert result.totals.shed_episodes >= 1
    drops = result.totals.switch_drops
    if mode == "queue":
        assert drops == 0, "what waits is not lost"
    else:
        assert drops is not None
        assert drops > 500


def test_a_controller_killed_in_the_control_phase_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(world: NamespacesWorld, supervisor: Supervisor) -> None:
        controller = world.controller
        assert controller is not None
        assert controller.kill()
        supervisor.wait(1.0)
        controller.restart()
        assert supervisor.wait_until(controller.is_ready, 15)

    meanwhile(monkeypatch, crash)
    result, history = run(tmp_path, "control")
    assert result.totals.heartbeats_missed == result.totals.io_errors == 0
    assert len(history.of(ControllerReady)) == len(history.of(ControllerBack)) == 1


@pytest.mark.slow
def test_the_shipped_crash_is_noticed_by_nobody(tmp_path: Path) -> None:
    result, history = run(tmp_path, "controller-crash", **{"phases.inject": "8s"})
    assert result.totals.heartbeats_missed == result.totals.nodes_ejected == 0
    assert len(history.of(ControllerBack)) == 2
    hooks = received_by_hooks(history, "n2")
    assert result.nodes["n2"].switch_packets["heartbeat"] == hooks["heartbeat"], "counts go on"


def test_strangers_are_refused_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown node, rubbish, rubbish by OpenFlow; the run does not notice."""
    status = {}

    def knock(world: NamespacesWorld, supervisor: Supervisor) -> None:
        controller = world.controller
        assert controller is not None
        told = controller.told_of_pressure
        assert told is not None
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(told))
            stranger.sendall(b'{"op":"pressure","node":"n99","on":true,"at":1}\n')
            stranger.sendall(b'{"op":"pressure","node":"n1"}\n' + b"\0" * 72 + b"\n")
        for content in (b"GET / HTTP/1.0\r\n\r\n", b"\x04\x00\x00\x04\0\0\0\0" * 9):
            with socket.create_connection(controller.listen, 2) as peer:
                peer.sendall(content)
        supervisor.wait(1.0)
        status.update(controller.ask("status"))

    meanwhile(monkeypatch, knock)
    result, history = run(tmp_path, "control", shed="drop", **SLOW)
    assert status["pressure"] == {"refused": 1, "malformed": 2, "nodes": []}
    assert status["ready"]
    refused = Counter[str]()
    for event in history.of(PressureRefused):
        refused[event.reason] += event.count
    assert refused == {"unknown node": 1, "no JSON object": 1, "no pressure message": 1}
    assert history.of(ShedApplied) == ()
    assert len(history.of(OpenFlowMalformed)) >= 1
    assert result.totals.heartbeats_missed == 0
