"""An agent that is killed: packets fare as before, and the next one knows what it knew."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from crunchbed.host import leaks
from crunchbed.run.world import NodeSilent
from nodes.waiting import wait_until
from reserve_agent.contract.events.heartbeats import HeartbeatSent
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.events import EventSink
from reserve_agent.hooks import pinned
from reserve_agent.netns import network_namespace_of
from reserve_agent.socket_options import set_memalloc
from tests.system.instrument import PORT, Instrument, instrument
from tests.system.wire import NODE, get_memalloc, inside_cgroup

pytestmark = pytest.mark.root
FOR_LONG = 60_000_000_000


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Instrument]:
    with instrument(tmp_path) as made:
        yield made


class Traffic:
    """From the peer to two readers in the node, of whom one may draw on the reserve."""

    def __init__(self, agent: Instrument, stack: ExitStack) -> None:
        self.readers = {"memalloc": PORT, "plain": PORT + 1}
        self.sockets = {}
        with network_namespace_of(agent.node), inside_cgroup(agent.cgroup):
            for name, port in self.readers.items():
                made = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                made.bind((NODE, port))
                made.settimeout(0.3)
                self.sockets[name] = made
            set_memalloc(self.sockets["memalloc"])
        with network_namespace_of(agent.peer):
            self.sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        # Both are heartbeats to the hooks: what is dropped of them is written down.
        self.sender.bind(("", PORT))

    def send(self, number: int) -> dict[str, int]:
        """That many packets to each; how many arrived."""
        for index in range(number):
            for port in self.readers.values():
                self.sender.sendto(b"%08d" % index, (NODE, port))
        return {name: self._read(name, number) for name in self.readers}

    def _read(self, name: str, number: int) -> int:
        arrived = 0
        try:
            while arrived < number:
                self.sockets[name].recv(100)
                arrived += 1
        except TimeoutError:
            pass
        return arrived


@pytest.fixture
def traffic(agent: Instrument) -> Iterator[Traffic]:
    with ExitStack() as stack:
        yield Traffic(agent, stack)


def squeeze(agent: Instrument) -> None:
    """From now on not one page is free for a normal task."""
    now = time.monotonic_ns()
    agent.ask("windows", windows=[[now, now + FOR_LONG, 256]])
    wait_until(lambda: agent.pool()["pressure"] == 1, 5, "pressure")


def hooked(sock: socket.socket) -> bool:
    """Whether anybody answers the option, which no kernel knows."""
    try:
        return get_memalloc(sock)
    except OSError:
        return False


def test_hooks_pool_and_flags_live_on(agent: Instrument, traffic: Traffic) -> None:
    assert traffic.send(10) == {"memalloc": 10, "plain": 10}
    squeeze(agent)
    assert traffic.send(10) == {"memalloc": 10, "plain": 0}
    before, shown = agent.pool(), agent.metrics()
    agent.kill()
    assert traffic.send(20) == {"memalloc": 20, "plain": 0}
    assert get_memalloc(traffic.sockets["memalloc"])
    agent.start()
    assert traffic.send(10) == {"memalloc": 10, "plain": 0}

    after = agent.pool()
    for name in ("total", "reserve", "pressure", "pressure_since", "generation", "window"):
        assert after[name] == before[name], name
    later = agent.metrics()
    fallen = {name for name in shown if name.endswith("_total") and later[name] < shown[name]}
    assert fallen == set()
    assert agent.events("agent.restarted") != []
    ports = {event["metrics_port"] for event in agent.events("pool.config")}
    assert len(ports) == 1, "who scrapes need not look again"


def test_every_drop_is_in_the_history_once(agent: Instrument, traffic: Traffic) -> None:
    squeeze(agent)
    for _ in range(3):
        traffic.send(20)
        agent.kill()
        traffic.send(20)
        agent.start()
    agent.ask("packets")
    drops = [event for event in agent.events("drop") if event["reason"] == "not_memalloc"]
    assert len(drops) == 120
    entries = [
        event["entry"]
        for kind in ("drop", "pressure.begin", "pressure.end")
        for event in agent.events(kind)
    ]
    assert sorted(entries) == list(range(min(entries), min(entries) + len(entries)))
    assert agent.events("hook.events_lost") == []
    assert len(agent.events("pressure.begin")) == 1


def test_a_ring_that_went_round_meanwhile_is_told(agent: Instrument, traffic: Traffic) -> None:
    squeeze(agent)
    agent.kill()
    for _ in range(50):
        for _ in range(100):
            traffic.sender.sendto(b"12345678", (NODE, PORT + 1))
        time.sleep(0.005)
    agent.start()
    agent.ask("packets")
    (lost,) = agent.events("hook.events_lost")
    assert lost["count"] + len(agent.events("drop")) == 5000
    assert agent.metrics()['crunchbed_hook_events_lost_total{node="n1"}'] == lost["count"]


def test_what_daemons_say_is_on_file_once_whatever_happens(agent: Instrument) -> None:
    sink = EventSink(agent.socket, "h")
    said = 0
    for round_ in range(4):
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            sink.emit(HeartbeatSent(seq=said, peers=["n2"]))
            said += 1
            time.sleep(0.0005)
        if round_ % 2 == 0:
            agent.kill()
        elif agent.process.poll() is not None:
            agent.start()
    sink.emit(DaemonReady(name="heartbeat"))
    sink.close()
    wait_until(lambda: agent.ask("status")["ready"] == {"heartbeat": 1}, 5, "the last word")
    agent.ask("packets")
    assert [event["seq"] for event in agent.events("heartbeat.sent")] == list(range(said))
    assert agent.events("events.lost") == []
    assert agent.metrics()['crunchbed_heartbeats_sent_total{node="n1"}'] == said


def test_its_own_end_takes_everything_back(agent: Instrument, traffic: Traffic) -> None:
    squeeze(agent)
    agent.kill()
    agent.start()
    assert pinned.are_complete(agent.pins)
    agent.end(signal.SIGTERM)
    assert list(agent.pins.iterdir()) == []
    # The kernel lets go of what nobody refers to in its own time.
    wait_until(lambda: not hooked(traffic.sockets["memalloc"]), 10, "the hooks are gone")


def test_cleaning_up_after_a_dead_run_detaches_them(agent: Instrument, traffic: Traffic) -> None:
    squeeze(agent)
    agent.kill()
    assert get_memalloc(traffic.sockets["memalloc"])
    leaks.remove(leaks.Leak("pin", str(agent.pins)))
    # The kernel lets go of what nobody refers to in its own time.
    wait_until(lambda: not hooked(traffic.sockets["memalloc"]), 10, "the hooks are gone")


def test_one_killed_while_it_pinned_is_followed_by_a_fresh_one(
    agent: Instrument, traffic: Traffic
) -> None:
    squeeze(agent)
    agent.kill()
    (agent.pins / "complete").unlink()
    (agent.pins / "cb_windows").unlink()
    agent.start()
    assert agent.pool()["pressure"] == 0
    assert traffic.send(10) == {"memalloc": 10, "plain": 10}
    assert [filters(agent, side) for side in ("ingress", "egress")] == [1, 1]
    heartbeats = [
        row
        for event in agent.events("packets")[-1:] or _counted(agent)
        for row in event["table"]
        if row["hook"] == "receive" and row["class"] == "heartbeat"
    ]
    assert sum(row["packets"] for row in heartbeats) == 20


def filters(agent: Instrument, side: str) -> int:
    """How many programs stand at the interface."""
    show = ["nsenter", f"--net=/proc/{agent.node}/ns/net", "tc", "filter", "show", "dev", "eth0"]
    shown = subprocess.run([*show, side], check=True, capture_output=True, text=True)
    return shown.stdout.count("direct-action")


def _counted(agent: Instrument) -> list[dict[str, object]]:
    agent.ask("packets")
    return agent.events("packets")


def test_away_is_an_error_of_its_own() -> None:
    assert NodeSilent("n1: its agent is down").exit_code == 3
