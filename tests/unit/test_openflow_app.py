"""The shim between the framework and the switchboard, and the process that both are in."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reserve_agent.controller import framework  # before anything that blocks

# isort: split
from reserve_agent.controller.app import SwitchApp
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.switchboard import Switchboard
from reserve_agent.controller.wiring import Network

_handler = framework.part("controller.handler")
_MAIN = _handler.MAIN_DISPATCHER


class Datapath:
    """A connection, as far as the application looks at it."""

    id = 1
    address = ("127.0.0.1", 40000)
    ofproto = ofproto_parser = None

    def __init__(self) -> None:
        self.ports: dict[int, Any] = {}
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Board:
    """Stands for the switchboard; an answer makes no sense to it."""

    def __init__(self) -> None:
        self.malformed: list[str] = []

    def connected(self, *_: object) -> object:
        return object()

    def answer(self, *_: object) -> None:
        raise TypeError("flows: None")

    def was_malformed(self, reason: str) -> bool:
        self.malformed.append(reason)
        return True


def test_a_message_that_makes_no_sense_costs_its_sender_the_connection_and_nobody_else() -> None:
    board, datapath = Board(), Datapath()
    app = SwitchApp(switchboard=cast(Switchboard, board))
    app._state_changed(SimpleNamespace(datapath=datapath, state=_MAIN))
    app._switches[datapath]._asked[7] = 1
    message = SimpleNamespace(datapath=datapath, xid=7, msg_type=21)
    app._barrier_passed(SimpleNamespace(msg=message))
    assert board.malformed == ["127.0.0.1: type 21: TypeError('flows: None')"]
    assert datapath.closed


def test_what_is_heard_by_the_framework_is_what_was_meant() -> None:
    events = framework.part("controller.ofp_event")
    app = SwitchApp(switchboard=cast(Switchboard, Board()))
    _handler.register_instance(app)
    heard = app.get_handlers(events.EventOFPBarrierReply(SimpleNamespace()), _MAIN)
    assert list(heard) == [app._barrier_passed]


@pytest.mark.parametrize("part", ["control", "pressure"])
def test_a_process_that_cannot_go_on_ends(part: str, tmp_path: Path) -> None:
    """The framework's threads would go on, and the run would take it for a controller."""
    with socket.socket() as free, socket.socket(type=socket.SOCK_DGRAM) as taken:
        free.bind(("127.0.0.1", 0))
        taken.bind(("127.0.0.1", 0))
        listen, pressure = free.getsockname(), taken.getsockname()
        free.close()
        config = ControllerConfig(
            run="k3xq",
            listen=listen,
            control=tmp_path / ("nowhere/controller" if part == "control" else "controller"),
            pressure=("127.0.0.1", 0) if part == "control" else pressure,
            token="00" * 32,
            network=Network((), ()),
            classes=(),
            shed=Shed(),
            history=tmp_path / "history.jsonl",
        )
        config.write(tmp_path / "config.json")
        done = subprocess.run(
            [sys.executable, "-m", "reserve_agent.controller", str(tmp_path / "config.json")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert ("No such file" if part == "control" else "cannot listen on UDP") in last
