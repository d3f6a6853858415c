"""An agent tells the controller of its node's pressure, if it has one to tell."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from reserve_agent import agent as module
from reserve_agent.agent import WATCH_SECONDS, Agent
from reserve_agent.config import AgentConfig
from reserve_agent.config_files import read_config, write_config
from reserve_agent.contract.packets import Policy
from reserve_agent.hooks.loader import HookSettings
from tests.unit.test_agent import Hooks, Operations


class Pressed(Operations):
    """A pool whose pressure the test turns on."""

    since: int | None = None

    def pressed_since(self) -> int | None:
        return self.since


@pytest.fixture
def config(tmp_path: Path) -> AgentConfig:
    return AgentConfig(
        node="n1",
        run="k3xq",
        scenario="control",
        netns_pid=1,
        interfaces=("eth0",),
        cgroup=tmp_path,
        pins=tmp_path,
        socket=tmp_path / "agent",
        history=tmp_path / "n1.jsonl",
        pages=16384,
        clean=8192,
        reserve=256,
        settings=HookSettings(Policy.NONE),
    )


def test_the_settings_name_the_controller_or_none(config: AgentConfig, tmp_path: Path) -> None:
    told = replace(config, controller=tmp_path / "controller")
    write_config(tmp_path / "agent.json", told)
    assert read_config(tmp_path / "agent.json", AgentConfig) == told
    write_config(tmp_path / "agent.json", config)
    assert read_config(tmp_path / "agent.json", AgentConfig).controller is None


def test_pressure_is_told_when_it_is_seen(
    config: AgentConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "NodeHooks", Hooks)
    monkeypatch.setattr(module.PoolHandle, "of", Pressed)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as controller:
        controller.bind(str(tmp_path / "controller"))
        controller.listen()
        agent = Agent(replace(config, controller=tmp_path / "controller"))
        agent._tell_of_pressure()
        monkeypatch.setattr(Pressed, "since", 77)
        agent._tell_of_pressure()
        monkeypatch.setattr(Pressed, "since", None)
        agent._tell_of_pressure()
        connection, _ = controller.accept()
        with connection:
            first, second = map(orjson.loads, connection.recv(1000).splitlines())
        assert first == {"op": "pressure", "node": "n1", "on": True, "at": 77}
        assert second["on"] is False
        assert agent._patience(1e9) == WATCH_SECONDS
        assert agent._sender is not None
        agent._sender.close()
        agent._history.close()


def test_nobody_to_tell_is_nothing_to_watch_for(
    config: AgentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NodeHooks", Hooks)
    monkeypatch.setattr(module.PoolHandle, "of", Operations)
    agent = Agent(config)
    agent._tell_of_pressure()
    assert agent._patience(1e9) > 1
    agent._history.close()
