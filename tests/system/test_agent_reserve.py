"""The agent's reserve follows what is attached, or warns where the scenario has fixed it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from reserve_agent.agent import Agent
from reserve_agent.config import AgentConfig
from reserve_agent.contract.packets import Policy
from reserve_agent.hooks.loader import HookSettings
from reserve_agent.sizing import CONTROL_PAGES, INTERFACE_PAGES, Throttled

pytestmark = pytest.mark.root
DISK = Throttled("disk", in_flight=16, request_bytes=16412, reply_bytes=82)
BASE = CONTROL_PAGES + INTERFACE_PAGES


@contextmanager
def _agent(tmp_path: Path, reserve: int | None, pages: int = 4096) -> Iterator[Agent]:
    """An agent with hooks that are loaded and not attached."""
    agent = Agent(
        AgentConfig(
            node="n1",
            run="test",
            scenario="test",
            netns_pid=0,
            interfaces=("eth0",),
            cgroup=tmp_path,
            pins=tmp_path,
            socket=tmp_path / "agent",
            history=tmp_path / "history.jsonl",
            pages=pages,
            clean=1000,
            reserve=reserve,
            settings=HookSettings(Policy.MEMALLOC),
        )
    )
    with closing(agent):
        yield agent


def _ask(agent: Agent, op: str, **fields: object) -> dict[str, object]:
    reply = agent._handle({"op": op, **fields})
    assert reply is not None
    return reply


def _attach(agent: Agent, one: Throttled) -> dict[str, object]:
    return _ask(agent, "attach", socket=asdict(one))


def _reserve(agent: Agent) -> int:
    pool = _ask(agent, "status")["pool"]
    assert isinstance(pool, dict)
    return int(pool["reserve"])


def _recorded(agent: Agent, tmp_path: Path, kind: str) -> list[dict[str, object]]:
    agent._history.flush()
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


@pytest.fixture(autouse=True)
def _port(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set when the agent serves its metrics, which this test does not need.
    monkeypatch.setattr(Agent, "_port", 0, raising=False)


def test_the_reserve_follows_what_is_attached(tmp_path: Path) -> None:
    with _agent(tmp_path, reserve=None) as agent:
        assert _reserve(agent) == BASE
        _attach(agent, DISK)
        assert _reserve(agent) == BASE + DISK.pages
        deeper = Throttled("disk", in_flight=64, request_bytes=16412, reply_bytes=82)
        _attach(agent, deeper)
        assert _reserve(agent) == BASE + 4 * DISK.pages, "another queue depth, not another disk"
        _ask(agent, "detach", name="disk")
        assert _reserve(agent) == BASE
        sizes = [event["reserve"] for event in _recorded(agent, tmp_path, "pool.config")]
        assert sizes == [BASE + DISK.pages, BASE + 4 * DISK.pages, BASE]


def test_a_fixed_reserve_that_is_too_small_is_warned_of_with_both_figures(tmp_path: Path) -> None:
    with _agent(tmp_path, reserve=100) as agent:
        _attach(agent, DISK)
        assert _reserve(agent) == 100
        (warning,) = _recorded(agent, tmp_path, "reserve.small")
        assert (warning["reserve"], warning["computed"]) == (100, BASE + DISK.pages)


def test_a_reserve_that_does_not_fit_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    with _agent(tmp_path, reserve=None, pages=1200) as agent:
        reply = _attach(agent, Throttled("disk", 1000, 16412, 82))
        assert "does not fit" in str(reply["error"])
        assert _reserve(agent) == BASE
