"""The controller's process as the run sees it; a stand-in answers in its place."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from crunchbed.backends.common import live_run
from crunchbed.backends.common.live_run import LiveRun
from crunchbed.backends.common.targets import Targets
from crunchbed.backends.namespaces.controller import LiveController
from crunchbed.backends.namespaces.world import NamespacesWorld
from crunchbed.faults.action import FaultContext, NotPossible
from crunchbed.faults.controller_crash import ControllerCrash
from crunchbed.faults.holds import Holds
from crunchbed.run.world import World
from crunchbed.scenario.loader import load
from nodes.process import Process
from nodes.waiting import wait_until
from reserve_agent.config_files import read_config
from reserve_agent.contract.events.faults import FaultBegan
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.wiring import Network
from reserve_agent.errors import CrunchbedError
from tests.unit.test_supervisor import live_run as live_run_of_control

STAND_IN = """
import selectors, sys
from pathlib import Path
from reserve_agent.config_files import read_config
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.lines.server import LineServer
config = read_config(Path(sys.argv[1]), ControllerConfig)
asked = 0
def answer(message):
    global asked
    asked += 1
    with config.history.open("a") as history:
        history.write(message["op"] + "\\n")
    return {"ready": asked > 2, "metrics_port": 9}
selector = selectors.DefaultSelector()
config.control.unlink(missing_ok=True)
server = LineServer(config.control, selector, answer)
while True:
    for key, _ in selector.select():
        key.data()
"""
NOBODY = Network((), ())


class Run:
    """A controller in a run of its own."""

    def __init__(self, tmp_path: Path, mode: str = "drop") -> None:
        for part in ("state", "logs", "history"):
            (tmp_path / part).mkdir()
        self.started: list[Process] = []
        changes = {"cluster.controller": "openflow", "shed.mode": mode}
        scenario = load("control").with_overrides(changes)
        self.places = LiveRun(
            scenario,
            "k3xq",
            state=tmp_path / "state",
            pins=tmp_path,
            out=tmp_path,
            targets=Targets("k3xq", scenario, tmp_path / "targets"),
            started=self.started.append,
        )
        self.controller = LiveController(self.places)

    def asked(self) -> list[str]:
        return (self.places.out / "history" / "controller.jsonl").read_text().split()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(
        live_run, "argv", lambda _module, config: [sys.executable, str(script), str(config)]
    )
    run = Run(tmp_path)
    yield run
    run.controller.stop()


def test_a_scenario_without_one_has_none(tmp_path: Path) -> None:
    world = NamespacesWorld(live_run_of_control(tmp_path), cast(Any, None), cast(Any, None))
    assert world.controller is None


def test_it_is_ready_when_it_says_so(run: Run) -> None:
    start(run)
    run.controller.wait_until_ready()
    assert run.asked() == ["status"] * 4, "three until it is ready, one for its metrics"
    run.controller.count_packets()
    assert run.asked()[-1] == "packets"
    assert [process.name for process in run.started] == ["controller"]


def start(run: Run) -> None:
    """Without a cgroup, which would need root."""
    run.controller.start(NOBODY, cast(Path, None))


def test_its_configuration_says_where_it_is_reached(run: Run) -> None:
    start(run)
    config = read_config(run.places.state / "controller.json", ControllerConfig)
    assert run.controller.told_of_pressure == config.control
    assert config.listen == run.controller.listen
    assert config.listen[0] == "127.0.0.1"
    assert config.shed.mode == "drop"
    assert [rule.port for rule in config.classes] == [10809, 7405]


def test_where_nothing_is_shed_nobody_is_told_of_pressure(tmp_path: Path) -> None:
    assert Run(tmp_path, "off").controller.told_of_pressure is None


def test_one_that_dies_at_its_start_is_quoted(run: Run) -> None:
    (run.places.out / "stand_in.py").write_text("raise SystemExit('no port left')")
    start(run)
    with pytest.raises(CrunchbedError, match=r"the controller ended \(1\): no port left"):
        run.controller.wait_until_ready()


def test_one_that_is_never_ready_is_quoted_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crunchbed.backends.namespaces.controller.READY_SECONDS", 1.0)
    script = "import sys, time\nprint('no switch', file=sys.stderr, flush=True)\ntime.sleep(60)"
    (run.places.out / "stand_in.py").write_text(script)
    start(run)
    with pytest.raises(CrunchbedError, match=r"waited 1 s in vain: .*\.log: no switch$"):
        run.controller.wait_until_ready()


def test_a_port_that_somebody_has_taken_meanwhile_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real one
    address = run.controller.listen
    with socket.socket() as thief:
        thief.bind(address)
        start(run)
        words = rf"the controller ended \(\d\): .*cannot listen on TCP 127.0.0.1:{address[1]}: "
        with pytest.raises(CrunchbedError, match=words):
            run.controller.wait_until_ready()


FAULT = ControllerCrash(kind="controller-crash")
CRASH = FaultBegan(fault="controller-crash", target="controller")


def acting_on(controller: LiveController | None) -> FaultContext:
    world = SimpleNamespace(controller=controller, nodes={})
    loop = SimpleNamespace(now_ns=time.monotonic_ns)
    holds = Holds(cast(World, world), lambda _node: None, lambda _things: None)
    return cast(FaultContext, SimpleNamespace(world=world, loop=loop, holds=holds))


def test_the_fault_kills_it_and_another_takes_over(run: Run) -> None:
    start(run)
    run.controller.wait_until_ready()
    first = run.controller.process
    watched: list[Process] = []
    run.controller.watch(watched)
    context = acting_on(run.controller)
    fault = FAULT.action(context)
    fault.begin(CRASH)
    assert first is not None
    assert first.poll() == -9
    assert watched == [], "its end is no failure of the testbed"
    with pytest.raises(NotPossible):
        FAULT.action(context).begin(CRASH)
    assert not run.controller.is_ready()
    fault.undo()
    assert watched == [run.controller.process] != [first]
    assert fault.settling()
    wait_until(lambda: not fault.settling(), 10, "it has taken over")
    configs = orjson.loads((run.places.state / "controller.json").read_bytes())
    assert configs["listen"] == list(run.controller.listen), "where the switches look for it"


def test_a_fault_that_met_nothing_has_nothing_to_undo(run: Run) -> None:
    fault = FAULT.action(acting_on(None))
    with pytest.raises(NotPossible, match="the controller was down"):
        fault.begin(CRASH)
    fault.undo()
    assert not fault.settling()
    assert run.started == []
