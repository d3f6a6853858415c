"""The address that moves, between two real namespaces: what the neighbours believe."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from nodes.service.address import add_address, announce, remove_address
from nodes.waiting import wait_until
from reserve_agent.netns import network_namespace_of
from topologies.cluster import Cluster
from topologies.node import ClusterNode

pytestmark = pytest.mark.root

RUN_ID = f"w{os.getpid() % 1000:03d}"
ADDRESS = "10.77.0.4"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(RUN_ID, nodes=3, switch="linux-bridge") as made:
        yield made


def ip(node: ClusterNode, *arguments: str) -> str:
    with network_namespace_of(node.pid):
        argv = ["ip", "-4", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def hardware(node: ClusterNode) -> str:
    words = ip(node, "link", "show", node.interface).split()
    return words[words.index("link/ether") + 1]


def take(node: ClusterNode, *, say: bool = True) -> None:
    with network_namespace_of(node.pid):
        add_address(node.interface, ADDRESS)
        add_address(node.interface, ADDRESS)
        if say:
            announce(node.interface, ADDRESS)


def give_up(node: ClusterNode) -> None:
    with network_namespace_of(node.pid):
        remove_address(node.interface, ADDRESS)
        remove_address(node.interface, ADDRESS)


def believed(observer: ClusterNode) -> str:
    """The hardware address that ``observer`` would send to."""
    return ip(observer, "neigh", "show", ADDRESS)


def speak(observer: ClusterNode) -> None:
    with network_namespace_of(observer.pid), socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", (ADDRESS, 9))


def test_an_announcement_moves_the_address_at_once_for_those_who_know_it(cluster: Cluster) -> None:
    first, second, observer = (cluster.nodes[name] for name in ("n1", "n2", "n3"))
    take(first, say=False)
    speak(observer)
    wait_until(lambda: hardware(first) in believed(observer), 5, "the first is known")
    give_up(first)
    take(second, say=False)
    time.sleep(0.1)
    assert hardware(first) in believed(observer), "nobody has said anything yet"
    with network_namespace_of(second.pid):
        announce(second.interface, ADDRESS)
    wait_until(lambda: hardware(second) in believed(observer), 1, "the second is known")
    assert f"inet {ADDRESS}/32" in ip(second, "address", "show", second.interface)
    assert ADDRESS not in ip(first, "address", "show", first.interface)
