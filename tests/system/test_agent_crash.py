"""A run in which agents are killed and followed by others: nobody in the cluster takes notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.checks.result import Result
from crunchbed.experiments import attempts
from crunchbed.history.history import History
from crunchbed.run import engine
from crunchbed.run.inject import Injection
from crunchbed.scenario import loader
from reserve_agent.contract.events.heartbeats import HeartbeatSent
from reserve_agent.contract.events.membership import FenceConfirmed, NodeEjected
from reserve_agent.contract.events.pressure import AgentRestarted, HookEventsLost
from reserve_agent.contract.events.run import EventsLost, Recovery, RunInfo
from reserve_agent.contract.events.writes import WriteAcknowledged
from tests.system.command import traces

pytestmark = pytest.mark.root
QUIET = {
    "cluster.switch": "linux-bridge",
    "heartbeat.interval": "50ms",
    "heartbeat.misses": 6,
    "phases.control": "1s",
    "phases.inject": "1s",
}


def run(
    tmp_path: Path, scenario: str, *, once: bool = False, **changes: object
) -> tuple[Result, History]:
    """A run, repeated where the machine disturbed it; nothing is left of any."""
    chosen = loader.load(scenario).with_overrides({**QUIET, **changes})
    out = tmp_path / "out"
    result = engine.run(chosen, out=out) if once else attempts.attempt(chosen, 1, out)
    history = History.read(out / "history.jsonl")
    (info,) = history.of(RunInfo)
    assert traces(info.run) == []
    return result, history


def looking(monkeypatch: pytest.MonkeyPatch, steps: dict[int, Callable[[LiveNode], None]]) -> None:
    """Do something to the target while the run looks whether the crunch is over."""
    over, looks = Injection.over, Counter[int]()

    def look(injection: Injection) -> bool:
        looks[id(injection)] += 1
        steps.get(looks[id(injection)], lambda _node: None)(injection._node)
        return over(injection)

    monkeypatch.setattr(Injection, "over", look)


def test_a_quiet_run_stays_quiet(tmp_path: Path) -> None:
    crash = {"kind": "agent-crash", "for": "400ms"}
    faults = [
        {**crash, "target": "n1", "after": "100ms"},
        {**crash, "target": "n2", "after": "200ms"},
        {**crash, "target": "n1", "after": "1200ms"},
    ]
    result, history = run(tmp_path, "control", **{"faults": faults, "phases.inject": "2s"})
    assert result.verdict == "pass", result.reasons
    assert result.totals.heartbeats_missed == result.totals.nodes_ejected == 0
    assert [len(history.of(AgentRestarted, name)) for name in ("n1", "n2", "n3")] == [2, 1, 0]
    assert history.of(EventsLost) == history.of(HookEventsLost) == ()
    sent = [event.seq for event in history.of(HeartbeatSent, "n1")]
    assert sent == list(range(sent[0], sent[0] + len(sent))), "none is missing, none is there twice"
    for name in ("n1", "n2"):
        acknowledged = [event.seq for event in history.of(WriteAcknowledged, name)]
        assert len(acknowledged) == len(set(acknowledged)) > 100
    assert result.totals.writes_lost == 0


def test_under_pressure_a_reserve_goes_on_to_protect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking(monkeypatch, {15: LiveNode.kill_agent, 40: LiveNode.restart_agent})
    result, history = run(
        tmp_path, "writeback-crunch", **{"policy": "memalloc", "phases.inject": "5s"}
    )
    assert result.verdict == "pass", result.reasons
    assert len(history.of(AgentRestarted, "n1")) == 1
    assert result.totals.heartbeats_missed == result.totals.nodes_ejected == 0
    assert result.totals.pressure_seconds > 0.1
    assert result.totals.writes_lost == 0


def test_a_node_that_is_fenced_meanwhile_boots_again_and_the_loss_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking(monkeypatch, {15: LiveNode.kill_agent})
    result, history = run(
        tmp_path,
        "writeback-crunch",
        once=True,
        **{"policy": "none", "phases.inject": "5s", "fencing.reboot_delay": "300ms"},
    )
    assert [event.target for event in history.of(FenceConfirmed)] == ["n1"]
    assert len(history.of(AgentRestarted, "n1")) == 1
    assert [event.false for event in history.of(NodeEjected, "n1")] == [True]
    assert result.verdict == "invalid"
    assert "events of the daemons of n1 were lost" in " ".join(result.reasons)
    (recovery,) = history.of(Recovery)
    assert recovery.healthy, recovery.reason
