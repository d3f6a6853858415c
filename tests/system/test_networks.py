"""Every topology on every switch: whole, shaped, with all its links, and gone without a trace."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from crunchbed.backends.common.ports import SwitchPort
from crunchbed.host import leaks
from crunchbed.host.requirements import missing, requirement
from nodes.ports import set_link
from nodes.waiting import wait_until
from reserve_agent.contract.topologies import TOPOLOGIES, Topology
from reserve_agent.errors import BadInput, MissingRequirement
from reserve_agent.netns import network_namespace_of
from topologies import ovs
from topologies.cluster import Cluster
from topologies.reach import unreachable_from
from topologies.switches import SwitchChoice

pytestmark = pytest.mark.root

RUN_ID = f"w{os.getpid() % 1000:03d}"
PORT = 5001
# A kernel notices a neighbour's silence within two seconds; the rest is for a busy machine.
FAR_SECONDS = 6.0


@pytest.fixture(params=["ovs-user", "linux-bridge"])
def switch(request: pytest.FixtureRequest) -> SwitchChoice:
    choice: SwitchChoice = request.param
    if choice == "ovs-user" and not (ovs.is_installed() and ovs.is_running()):
        pytest.skip("Open vSwitch is not running")
    return choice


@contextmanager
def network(topology: Topology, switch: SwitchChoice, nodes: int = 3) -> Iterator[Cluster]:
    with Cluster(RUN_ID, nodes=nodes, switch=switch, topology=topology) as made:
        yield made
    assert leaks.find(RUN_ID) == []


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_everybody_reaches_everybody(topology: Topology, switch: SwitchChoice) -> None:
    if topology == "leaf-spine" and switch == "linux-bridge":
        with pytest.raises(BadInput, match="round its loops"):
            Cluster(RUN_ID, switch=switch, topology=topology).start()
        return
    with network(topology, switch) as cluster:
        members = {name: node.pid for name, node in cluster.nodes.items() if name != "storage"}
        for node in cluster.nodes.values():
            for address in node.addresses:
                assert not unreachable_from(members, address, 5.0)
        named = {
            end.interface for trunk in cluster.layout.trunks for end in (trunk.one, trunk.other)
        }
        named |= {port for node in cluster.nodes.values() for port in node.switch_ports}
        for port in named:
            shown = subprocess.run(
                ["tc", "qdisc", "show", "dev", port], capture_output=True, text=True, check=True
            ).stdout
            assert "tbf 1: root" in shown, shown
            assert "rate 200Mbit" in shown, shown


def test_the_storage_host_of_a_split_is_on_one_network_alone(switch: SwitchChoice) -> None:
    with network("split", switch, 2) as cluster:
        assert cluster.storage.address("storage") == "10.77.1.254"
        assert unreachable_from({"storage": cluster.storage.pid}, "10.77.0.1", 0.5) == ["storage"]
        set_link(cluster.nodes["n1"].link("storage").switch_port, up=False)
        members = {"n2": cluster.nodes["n2"].pid}
        assert not unreachable_from(members, cluster.nodes["n1"].address("cluster"), 2.0)
        assert unreachable_from(members, cluster.nodes["n1"].address("storage"), 0.5) == ["n2"]


class Stream:
    """A TCP connection between two nodes' own addresses that carries a byte every 10 ms."""

    def __init__(self, cluster: Cluster, stack: ExitStack) -> None:
        with network_namespace_of(cluster.storage.pid):
            target = stack.enter_context(
                socket.create_server((cluster.storage.address("storage"), PORT))
            )
        with network_namespace_of(cluster.nodes["n1"].pid):
            address = (cluster.storage.address("storage"), PORT)
            self._client = stack.enter_context(socket.create_connection(address, 5))
        self._served = stack.enter_context(target.accept()[0])
        self._client.settimeout(30)
        self._ended = threading.Event()
        self.longest = 0.0
        threads = [threading.Thread(target=self._echo), threading.Thread(target=self._ask)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(self._ended.set)

    def _echo(self) -> None:
        while received := self._served.recv(100):
            self._served.sendall(received)

    def _ask(self) -> None:
        while not self._ended.is_set():
            before = time.monotonic()
            self._client.sendall(b"x")
            self._client.recv(1)
            self.longest = max(self.longest, time.monotonic() - before)
            time.sleep(0.01)
        self._client.shutdown(socket.SHUT_WR)

    def survives(self, ports: list[str], seconds: float) -> None:
        """These ports go down; nothing waits longer than that. Then they come back."""
        self.longest = 0.0
        for port in ports:
            set_link(port, up=False)
        until = time.monotonic() + seconds + 1
        time.sleep(0.5)
        wait_until(lambda: self._quick() or time.monotonic() > until, seconds + 2, "bytes again")
        assert self._quick(), "nothing passes"
        assert self.longest < seconds
        for port in ports:
            set_link(port, up=True)
        time.sleep(1.5)  # until the kernel has noticed the carrier

    def _quick(self) -> bool:
        before, self.longest = self.longest, 0.0
        time.sleep(0.3)
        quick = 0 < self.longest < 0.25
        self.longest = max(before, self.longest)
        return quick


@pytest.mark.parametrize("network_label", ["a", "b"])
def test_a_stream_survives_a_switch_and_a_link(switch: SwitchChoice, network_label: str) -> None:
    with network("redundant", switch, 2) as cluster, ExitStack() as stack:
        stream = Stream(cluster, stack)
        hosts = cluster.nodes.values()
        whole = [host.link(network_label).switch_port for host in hosts]
        stream.survives(whole, 1.5)
        # Nobody but the kernel, here without a controller, tells the far side.
        stream.survives([cluster.nodes["n1"].link(network_label).switch_port], FAR_SECONDS)


def test_power_off_takes_all_links(switch: SwitchChoice) -> None:
    with network("redundant", switch, 2) as cluster:
        port = SwitchPort(cluster.nodes["n1"])
        port.power(False)
        pids = {"n1": cluster.nodes["n1"].pid}
        for address in cluster.storage.addresses:
            assert unreachable_from(pids, address, 0.3) == ["n1"]
        port.power(True)
        wait_until(lambda: port.settled([cluster.storage]), 5, "links are up again")
        for address in cluster.storage.addresses:
            assert not unreachable_from(pids, address, 5.0)


@pytest.mark.skipif(not missing([requirement("netem")]), reason="this kernel has netem")
def test_a_delay_names_what_brings_netem() -> None:
    with pytest.raises(MissingRequirement, match="modprobe sch_netem"):
        Cluster(RUN_ID, nodes=1, switch="linux-bridge", delay_ns=1_000_000).start()
    assert leaks.find(RUN_ID) == []
