"""The controller's part of the history is closed once, though the framework's threads go on."""

from __future__ import annotations

import threading
from pathlib import Path

import orjson

from reserve_agent.contract.events.switches import ControllerLost
from reserve_agent.controller.process import Controller
from reserve_agent.record import NodeHistory


def test_nothing_comes_after_the_end_of_its_part(tmp_path: Path) -> None:
    controller = object.__new__(Controller)
    controller._lock, controller._finished = threading.RLock(), False
    controller._history = NodeHistory(tmp_path / "controller.jsonl", "controller", lambda _: None)
    controller.record(ControllerLost(switch="s1"))
    controller._finish()
    controller.record(ControllerLost(switch="s1"))
    first, last = map(orjson.loads, (tmp_path / "controller.jsonl").read_bytes().splitlines())
    assert (first["id"], last["kind"], last["writers"]) == ("a:0", "part.closed", {"a": 1})
