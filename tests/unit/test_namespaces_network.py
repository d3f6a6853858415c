"""What can be done to the network of namespaces, and to a node's daemons: cut, lose, hold, stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crunchbed.backends.common import network as live_network
from crunchbed.backends.common.network import LiveNetwork
from crunchbed.backends.common.switches import LiveSwitches
from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.run.world import Impairment
from nodes.process import Process, descendants, spawn
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError
from topologies.node import ClusterNode, NodeLink
from topologies.power import SwitchPower


def host(name: str, *links: tuple[str, str]) -> ClusterNode:
    """A host with links, each (network, switch)."""
    made = tuple(
        NodeLink(f"eth{i}", f"{name}-p{i}", f"10.77.{i}.{name[1:]}", network, f"abcd{switch}")
        for i, (network, switch) in enumerate(links)
    )
    return ClusterNode(name, name, 1, made)


class Bench:
    """A network of which nothing is made; says what nodes and ports were told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *hosts: ClusterNode) -> None:
        self.told: dict[str, list[list[object]]] = {}
        self.tellings = 0
        self.delayed: dict[str, int] = {}
        self.down: set[str] = set()
        monkeypatch.setattr(ClusterNode, "set_port", lambda _self, *link: self._set(*link))
        monkeypatch.setattr(live_network, "delay_port", self.delayed.__setitem__)
        monkeypatch.setattr(live_network, "undelay_port", self.delayed.pop)
        self.network = LiveNetwork({one.name: one for one in hosts}, self._tell)

    def _tell(self, node: str, rows: list[list[object]]) -> None:
        self.tellings += 1
        self.told[node] = rows

    def _set(self, link: NodeLink, up: bool) -> None:
        (self.down.discard if up else self.down.add)(link.switch_port)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Three nodes on a star."""
    return Bench(monkeypatch, *(host(f"n{i}", ("cluster", "s1")) for i in (1, 2, 3)))


# --- losses and delays


def test_losses_add_up_and_are_undone_one_by_one(bench: Bench) -> None:
    one = bench.network.impair([Impairment("n1", loss=0.5)])
    other = bench.network.impair(
        [
            Impairment("n1", loss=0.5),
            Impairment("n1", source="n2", loss=1.0),
            Impairment("n2", loss=0.1),
        ]
    )
    n1, n2 = [[None, 0.75], ["10.77.0.2", 1.0]], [[None, pytest.approx(0.1)]]
    assert bench.told == {"n1": n1, "n2": n2}
    assert bench.tellings == 3, "each node once for each impairment of several"
    one()
    assert bench.told["n1"] == [[None, 0.5], ["10.77.0.2", 1.0]]
    other()
    other()
    assert bench.told == {"n1": [], "n2": []}


def test_a_host_with_several_addresses_is_lost_by_each(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, host("n1", ("a", "s1")), host("n2", ("a", "s1"), ("b", "s2")))
    bench.network.impair([Impairment("n1", source="n2", loss=0.5)])
    assert bench.told == {"n1": [["10.77.0.2", 0.5], ["10.77.1.2", 0.5]]}


def test_packets_are_held_back_at_all_ports_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, host("n1", ("a", "s1"), ("b", "s2")))
    undo = bench.network.impair([Impairment("n1", delay_ns=7)])
    assert (bench.delayed, bench.told) == ({"n1-p0": 7, "n1-p1": 7}, {})
    undo()
    undo()
    assert bench.delayed == {}
    with pytest.raises(CrunchbedError, match="cannot delay the packets of n1 alone"):
        bench.network.impair([Impairment("n1", source="n1", delay_ns=7)])


def test_what_fails_half_way_leaves_nothing_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(port: str, _delay_ns: int) -> None:
        raise CrunchbedError(f"no netem at {port}")

    monkeypatch.setattr(live_network, "delay_port", fail)
    with pytest.raises(CrunchbedError, match="no netem at n1-p0"):
        bench.network.impair([Impairment("n1", loss=0.5, delay_ns=7)])
    assert bench.told == {"n1": []}


# --- ports


def test_a_link_is_down_until_every_cut_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, host("n1", ("a", "s1"), ("b", "s2")), host("n2", ("a", "s1")))
    network = bench.network
    assert (network.hosts, network.networks("n1")) == (("n1", "n2"), ("a", "b"))
    network.cut("n1")
    network.cut("n1", "a")
    assert bench.down == {"n1-p0", "n1-p1"}
    assert not network.mend("n1")
    assert bench.down == {"n1-p0"}
    assert network.mend("n1", "a")
    assert bench.down == set()


def test_it_has_settled_when_nobody_asks_for_an_address(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked, asked = False, {name: set[str]() for name in ("n1", "n2", "n3")}
    monkeypatch.setattr(ClusterNode, "has_links", lambda _self, _links: linked)
    monkeypatch.setattr(ClusterNode, "addresses_asked_for", lambda node: asked[node.name])
    bench.network.cut("n1")
    assert bench.network.settled("n1"), "nothing is to come"
    assert bench.network.mend("n1")
    assert not bench.network.settled("n1")
    linked = True
    assert bench.network.settled("n1")
    asked["n3"] = {"10.77.0.1"}
    assert not bench.network.settled("n1")


# --- switches


class FakePower:
    """Says which switches are on."""

    def __init__(self) -> None:
        self.on = {"s1": True, "s2": True}

    def full_name(self, name: str) -> str:
        return f"abcd{name}"

    def is_on(self, name: str) -> bool:
        return self.on[name]

    def turn_off(self, name: str) -> None:
        self.on[name] = False

    def turn_on(self, name: str) -> None:
        self.on[name] = True


def test_a_switch_takes_the_carrier_of_its_links_and_gives_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = (host("n1", ("a", "s1"), ("b", "s2")), host("n2", ("a", "s1")))
    bench = Bench(monkeypatch, *hosts)
    switches = LiveSwitches(cast(SwitchPower, FakePower()), bench.network.ports)
    assert switches.links_to("s1") == {"n1": ["a"], "n2": ["a"]}
    assert switches.cut_off_by("s1") == ["n2"], "n1 has another ring"
    assert switches.cut_off_by("s2") == []
    bench.network.cut("n2")
    switches.turn_off("s1")
    assert not switches.is_on("s1")
    assert bench.down == {"n1-p0", "n2-p0"}
    switches.turn_on("s1")
    assert switches.is_on("s1")
    assert bench.down == {"n2-p0"}, "cut by somebody else"
    switches.turn_on("s1")
    assert bench.down == {"n2-p0"}, "a switch that is on mends nothing"


def test_who_has_a_network_for_heartbeats_is_cut_off_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch, host("n1", ("cluster", "s1"), ("storage", "s2")))
    switches = LiveSwitches(cast(SwitchPower, FakePower()), bench.network.ports)
    assert (switches.cut_off_by("s1"), switches.cut_off_by("s2")) == (["n1"], [])


# --- daemons that stand still


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Process]:
    """A process with a child."""
    argv = ["sh", "-c", "sleep 60 & wait"]
    process = spawn(argv, name="n1 x", log=tmp_path / "x.log", netns_pid=None, cgroup=None)
    wait_until(lambda: bool(descendants(process.pid)), 5, "it has a child")
    yield process
    children = descendants(process.pid)
    process.kill()
    for child in children:
        os.kill(child, signal.SIGKILL)


def states(process: Process) -> list[str]:
    pids = [process.pid, *descendants(process.pid)]
    return [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] for pid in pids]


def test_a_daemon_is_stopped_with_its_children_and_all_go_on(family: Process) -> None:
    node: Any = SimpleNamespace(daemons={"heartbeat": family}, _paused={})
    LiveNode.pause(node, ("heartbeat", "service"))
    wait_until(lambda: states(family) == ["T", "T"], 5, "both are stopped")
    node.daemons.clear()
    LiveNode.resume(node, ("heartbeat", "service"))
    wait_until(lambda: "T" not in states(family), 5, "both go on")
    LiveNode.resume(node, ("heartbeat",))
