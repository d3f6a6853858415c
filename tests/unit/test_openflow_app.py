"""The shim between the framework and the switches, and the process that both are in."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from reserve_agent.controller import framework  # before anything that blocks

# isort: split
from reserve_agent.config_files import write_config
from reserve_agent.controller.app import SwitchApp
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.switches import Switches
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


class Confused:
    """Stands for the switches; an answer makes no sense to it."""

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
    switches, datapath = Confused(), Datapath()
    app = SwitchApp(switches=cast(Switches, switches))
    app._state_changed(SimpleNamespace(datapath=datapath, state=_MAIN))
    app._connections[datapath]._asked[7] = 1
    message = SimpleNamespace(datapath=datapath, xid=7, msg_type=21)
    app._barrier_passed(SimpleNamespace(msg=message))
    assert switches.malformed == ["127.0.0.1: type 21: TypeError('flows: None')"]
    assert datapath.closed


def test_what_is_heard_by_the_framework_is_what_was_meant() -> None:
    events = framework.part("controller.ofp_event")
    app = SwitchApp(switches=cast(Switches, Confused()))
    _handler.register_instance(app)
    heard = app.get_handlers(events.EventOFPBarrierReply(SimpleNamespace()), _MAIN)
    assert list(heard) == [app._barrier_passed]


def test_a_process_that_cannot_go_on_ends(tmp_path: Path) -> None:
    """The framework's threads would go on, and the run would take it for a controller."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()
        free.close()
        config = ControllerConfig(
            run="k3xq",
            listen=listen,
            control=tmp_path / "nowhere/controller",
            network=Network((), ()),
            classes=(),
            shed=Shed(),
            history=tmp_path / "history.jsonl",
        )
        write_config(tmp_path / "config.json", config)
        done = subprocess.run(
            [sys.executable, "-m", "reserve_agent.controller", str(tmp_path / "config.json")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert "No such file" in last
