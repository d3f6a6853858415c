"""Hooks at both links of a node: one pool, one set of counters, one list of interfaces."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from nodes.cgroup import NodeCgroup
from reserve_agent.contract.packets import Hook, PacketClass, Policy, PortRule, Reason
from reserve_agent.contract.topologies import Topology
from reserve_agent.hooks.loader import HookSettings, NodeHooks
from reserve_agent.netns import network_namespace_of
from tests.system.wire import Wire
from topologies.cluster import Cluster
from topologies.node import ClusterNode

pytestmark = pytest.mark.root
RUN_ID = f"y{os.getpid() % 1000:03d}"
PORT = 7405
SETTINGS = HookSettings(Policy.MEMALLOC, rules=(PortRule(PORT, 17, PacketClass.HEARTBEAT),))


@contextlib.contextmanager
def hooked(topology: Topology) -> Iterator[tuple[Cluster, Wire]]:
    """Node n1 of a cluster with hooks on all its links; its peer is n2."""
    with (
        Cluster(RUN_ID, nodes=2, switch="linux-bridge", topology=topology) as cluster,
        contextlib.ExitStack() as stack,
    ):
        group = NodeCgroup(RUN_ID, "n1")
        group.create()
        stack.callback(group.remove)
        hooks = NodeHooks()
        stack.callback(hooks.close)
        hooks.configure(SETTINGS)
        node, peer = cluster.nodes["n1"], cluster.nodes["n2"]
        hooks.attach(netns_pid=node.pid, interfaces=node.interfaces, cgroup=group.path)
        yield cluster, Wire(node.pid, peer.pid, group.path, hooks)


def _sends(peer: ClusterNode, address: str, receiver: socket.socket) -> bool:
    with network_namespace_of(peer.pid):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.sendto(b"12345678", (address, PORT))
    receiver.settimeout(0.5)
    try:
        return receiver.recv(100) == b"12345678"
    except TimeoutError:
        return False


@pytest.mark.parametrize("topology", ["split", "redundant"])
def test_one_pool_judges_what_comes_by_either_link(topology: Topology) -> None:
    with hooked(topology) as (cluster, wire), wire.node_socket(socket.SOCK_DGRAM) as receiver:
        receiver.bind(("", PORT))
        peer, addresses = cluster.nodes["n2"], cluster.nodes["n1"].addresses
        for address in addresses:
            assert _sends(peer, address, receiver), address
        with wire.pressure():
            for address in addresses:
                assert not _sends(peer, address, receiver), address
        for address in addresses:
            assert _sends(peer, address, receiver), address
        counted = wire.hooks.counters()
        count = len(addresses)
        beats = PacketClass.HEARTBEAT
        assert counted[Hook.DELIVER, beats, Reason.NOT_MEMALLOC][0] == count
        assert counted[Hook.DELIVER, beats, Reason.GRANTED][0] == 2 * count
