"""A real network: made, checked, shaped, and gone without a trace."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from crunchbed.host import leaks
from nodes.ports import delete_links
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError
from reserve_agent.netns import network_namespace_of
from tests.unit.interface_counters import counters_of
from topologies import ovs, wiring
from topologies.cluster import Cluster
from topologies.node import ClusterNode
from topologies.reach import unreachable_from
from topologies.switches import SwitchChoice, choose_switch

pytestmark = pytest.mark.root

RUN_ID, OTHER_ID = (f"{letter}{os.getpid() % 1000:03d}" for letter in "uv")


@pytest.fixture(params=["ovs-user", "linux-bridge"])
def switch(request: pytest.FixtureRequest) -> SwitchChoice:
    choice: SwitchChoice = request.param
    if choice == "ovs-user" and not (ovs.is_installed() and ovs.is_running()):
        pytest.skip("Open vSwitch is not running")
    return choice


@pytest.fixture
def cluster(switch: SwitchChoice) -> Iterator[Cluster]:
    with Cluster(RUN_ID, nodes=2, switch=switch) as made:
        yield made
    assert leaks.find(RUN_ID) == []


def in_node(node: ClusterNode, *argv: str) -> str:
    with network_namespace_of(node.pid):
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def carrier(node: ClusterNode) -> bool:
    return "LOWER_UP" in in_node(node, "ip", "link", "show", node.interface)


def reaches_storage(cluster: Cluster, *names: str) -> bool:
    pids = {name: cluster.nodes[name].pid for name in names}
    return not unreachable_from(pids, cluster.storage.ip, 1.0)


def test_nodes_are_as_described(cluster: Cluster) -> None:
    assert list(cluster.nodes) == ["n1", "n2", "storage"]
    links = [name for _, name in socket.if_nameindex()]
    for node in cluster.nodes.values():
        assert node.mininet_name.startswith(RUN_ID)
        assert node.switch_port in links
        assert f"inet {node.ip}/24" in in_node(node, "ip", "-4", "address", "show", node.interface)
        offloads = in_node(node, "ethtool", "-k", node.interface).splitlines()
        for name in ("tx-checksumming", "tcp-segmentation-offload", "generic-receive-offload"):
            assert any(line.startswith(f"{name}: off") for line in offloads)
        assert "router_solicitations = 0" in in_node(
            node, "sysctl", f"net.ipv6.conf.{node.interface}.router_solicitations"
        )
        assert in_node(node, "sysctl", "-n", "net.ipv4.tcp_congestion_control") == "reno\n"


def test_the_root_namespace_has_no_address_of_it(cluster: Cluster) -> None:
    names = [*cluster.switch_names, *(node.switch_port for node in cluster.nodes.values())]
    for name in names:
        argv = ["ip", "-brief", "address", "show", "dev", name]
        line = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        assert len(line.split()) == 2, line


def test_a_port_goes_down_and_comes_back(cluster: Cluster) -> None:
    node = cluster.nodes["n1"]
    node.set_port(node.links[0], up=False)
    assert not carrier(node)
    assert not unreachable_from({"n2": cluster.nodes["n2"].pid}, cluster.storage.ip, 2.0)
    assert unreachable_from({"n1": node.pid}, cluster.storage.ip, 0.3) == ["n1"]
    node.set_port(node.links[0], up=True)
    wait_until(lambda: carrier(node), 5, "the carrier")
    wait_until(lambda: reaches_storage(cluster, "n1"), 5, "the storage host")
    for shaped in (node, cluster.storage):
        argv = ["tc", "qdisc", "show", "dev", shaped.switch_port]
        assert "tbf" in subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_counters_are_exact(cluster: Cluster) -> None:
    node = cluster.nodes["n1"]
    with network_namespace_of(node.pid), socket.socket(type=socket.SOCK_DGRAM) as sender:
        before, there = counters_of(node), counters_of(cluster.storage)
        for _ in range(100):
            sender.sendto(bytes(958), (cluster.storage.ip, 9))

    def arrived() -> int:
        return counters_of(cluster.storage).rx_packets - there.rx_packets

    wait_until(lambda: arrived() >= 100, 5, "all packets at the storage host")
    after = counters_of(node)
    # Beside them only stray neighbour discovery of the first seconds.
    assert 100 <= after.tx_packets - before.tx_packets <= 110
    assert 100_000 <= after.tx_bytes - before.tx_bytes <= 101_500
    assert arrived() <= 130


def rate_through(source: ClusterNode, sink: ClusterNode, seconds: float) -> float:
    """Mb/s of frames that reach ``sink`` from a TCP sender without a limit of its own."""
    with ExitStack() as stack:
        with network_namespace_of(sink.pid):
            listener = stack.enter_context(socket.create_server((sink.ip, 5001)))
        with network_namespace_of(source.pid):
            sender = stack.enter_context(socket.create_connection((sink.ip, 5001), 5))
        receiver, _ = listener.accept()
        stack.enter_context(receiver)
        feeder = threading.Thread(target=feed, args=(sender,))
        feeder.start()
        stack.callback(feeder.join)
        stack.callback(sender.shutdown, socket.SHUT_RDWR)
        start, before = time.monotonic(), counters_of(sink).rx_bytes
        while (elapsed := time.monotonic() - start) < seconds:
            receiver.recv(1 << 20)
        return (counters_of(sink).rx_bytes - before) * 8 / elapsed / 1e6


def feed(sender: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            sender.sendall(bytes(65536))


def test_ports_are_shaped_in_both_directions(switch: SwitchChoice) -> None:
    with Cluster(
        RUN_ID, nodes=1, port_rate_mbit=50, storage_rate_mbit=80, switch=switch
    ) as cluster:
        node, storage = cluster.nodes["n1"], cluster.storage
        up = rate_through(node, storage, 0.7)
        with network_namespace_of(node.pid):
            subprocess.run(
                ["/usr/sbin/tc", "qdisc", "del", "dev", node.interface, "root"], check=True
            )
        # Now the switch's port towards the storage host is all that shapes.
        at_switch = rate_through(node, storage, 0.7)
    assert leaks.find(RUN_ID) == []
    assert 45 < up < 52
    assert 72 < at_switch < 83


def test_two_side_by_side(switch: SwitchChoice) -> None:
    with Cluster(RUN_ID, nodes=2, switch=switch) as first:
        with Cluster(OTHER_ID, nodes=2, switch=switch) as second:
            assert reaches_storage(first, "n1", "n2")
            assert reaches_storage(second, "n1", "n2")
        assert leaks.find(OTHER_ID) == []
        assert reaches_storage(first, "n1", "n2")
        argv = ["tc", "qdisc", "show", "dev", first.storage.switch_port]
        assert "tbf" in subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert leaks.find(RUN_ID) == []


def test_a_port_that_is_not_on_the_switch_is_named(
    switch: SwitchChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_n1(ports: object) -> None:
        wiring.bring_up(ports)  # type: ignore[arg-type]
        port = f"{RUN_ID}s1-eth1"
        if switch == "ovs-user":
            ovs.vsctl("del-port", port)
        else:
            subprocess.run(["/usr/sbin/ip", "link", "set", port, "nomaster"], check=True)

    monkeypatch.setattr("topologies.cluster.bring_up", without_n1)
    with pytest.raises(CrunchbedError, match=f"not on their switch: {RUN_ID}s1-eth1$"):
        Cluster(RUN_ID, nodes=2, switch=switch).start()
    assert leaks.find(RUN_ID) == []


def test_a_node_that_does_not_reach_the_storage_is_named(
    switch: SwitchChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_n2(ports: object) -> None:
        wiring.bring_up(port for port in ports if not port.endswith("eth2"))  # type: ignore[attr-defined]

    monkeypatch.setattr("topologies.cluster.bring_up", without_n2)
    monkeypatch.setattr("topologies.cluster._REACH_TIMEOUT_SECONDS", 3.0)
    with pytest.raises(CrunchbedError, match=r"no ping to 10.77.0.254 from n2$"):
        Cluster(RUN_ID, nodes=2, switch=switch).start()
    assert leaks.find(RUN_ID) == []


def test_a_node_without_an_interface_is_unreachable_too() -> None:
    with Cluster(RUN_ID, nodes=2) as cluster:
        delete_links([cluster.nodes["n1"].switch_port])
        pids = {name: cluster.nodes[name].pid for name in ("n1", "n2")}
        assert unreachable_from(pids, cluster.storage.ip, 0.5) == ["n1"]
    assert leaks.find(RUN_ID) == []


def test_a_switch_that_open_vswitch_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    if choose_switch("auto") == "linux-bridge":
        pytest.skip("Open vSwitch is not installed")
    from topologies.parts import OvsSwitch

    monkeypatch.setattr(OvsSwitch, "bridgeOpts", lambda _self: " no_such_column=1")
    with pytest.raises(CrunchbedError, match=r"Open vSwitch refused: .*no_such_column"):
        Cluster(RUN_ID, nodes=1, switch="ovs-user").start()
    assert leaks.find(RUN_ID) == []


def test_a_process_left_in_a_node_does_not_keep_its_link(switch: SwitchChoice) -> None:
    with (
        Cluster(RUN_ID, nodes=1, switch=switch) as cluster,
        network_namespace_of(cluster.storage.pid),
    ):
        left = subprocess.Popen(["/bin/sleep", "60"])
    with left:
        assert leaks.find(RUN_ID) == []
        left.kill()


def test_thirty_two_nodes(switch: SwitchChoice) -> None:
    before = time.monotonic()
    with Cluster(RUN_ID, nodes=32, switch=switch) as cluster:
        started = time.monotonic()
        assert len(cluster.nodes) == 33
    stopped = time.monotonic()
    print(f"\n{switch}: up {started - before:.2f} s, down {stopped - started:.2f} s")  # noqa: T201
    assert leaks.find(RUN_ID) == []
    assert stopped - before < 20


def test_mininet_keeps_quiet_and_leaves_the_process_alone(tmp_path: Path) -> None:
    code = (
        "import logging, signal, sys\n"
        "before = signal.getsignal(signal.SIGINT), logging.getLoggerClass()\n"
        "from topologies.cluster import Cluster\n"
        f"with Cluster({RUN_ID!r}, nodes=1): pass\n"
        "after = signal.getsignal(signal.SIGINT), logging.getLoggerClass()\n"
        "assert before == after, (before, after)\n"
    )
    argv = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
