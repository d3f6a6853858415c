"""Heartbeats on several rings: the first copy counts, and a ring that brings none is told."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.backends.common.configs import rings as rings_of
from nodes.corosync.conf import corosync_conf
from nodes.corosync.config import CorosyncConfig, Totem
from nodes.corosync.notices import LinkDown, LinkUp, read_notice
from nodes.corosync.reports import KnetLinks
from nodes.heartbeat.config import HeartbeatConfig
from nodes.heartbeat.sockets import RingSocket, RingSockets
from nodes.membership.rings import Arrival, Copies, RingMerger, RingWatch
from reserve_agent.config_files import read_config
from reserve_agent.contract.events.heartbeats import RingDown, RingUp
from reserve_agent.errors import BadInput
from topologies.node import ClusterNode, NodeLink


def test_a_datagram_counts_once_whatever_ring_brings_it() -> None:
    copies = Copies()
    assert not copies.is_copy("n2", b"1")
    assert copies.is_copy("n2", b"1")
    assert not copies.is_copy("n3", b"1"), "another node may say the same"
    assert not copies.is_copy("n2", b"2")
    assert copies.is_copy("n2", b"1"), "late, but known"


def test_what_is_known_of_copies_is_bounded() -> None:
    copies = Copies()
    for number in range(1000):
        assert not copies.is_copy("n2", bytes([number % 256, number // 256]))
    assert sum(map(len, copies._seen.values())) <= 128


def brought(watch: RingWatch, seq: int, *by: int) -> None:
    """Heartbeat ``seq`` of n2 comes by these rings, 10 ns after the one before."""
    for place, ring in enumerate(by):
        watch.heard(ring, "n2", 10 * seq + place, first=place == 0)


def test_a_ring_is_down_when_the_other_alone_has_brought_so_many() -> None:
    watch = RingWatch(2, lacking=3)
    brought(watch, 1, 0, 1)
    for seq in (2, 3):
        brought(watch, seq, 1)
        assert watch.changes(39) == []
    brought(watch, 4, 1)
    assert watch.changes(45) == [RingDown(t=45, ring=0, peer="n2", since=10)]
    brought(watch, 5, 1)
    assert watch.changes(59) == [], "told once"
    brought(watch, 6, 1, 0)
    assert watch.changes(69) == [RingUp(t=61, ring=0, peer="n2")]


def test_a_silent_node_has_no_ring_down() -> None:
    watch = RingWatch(2, lacking=3)
    brought(watch, 1, 0, 1)
    assert watch.changes(20) == []
    for seq in (90, 91, 95):
        brought(watch, seq, 0, 1)
    assert watch.changes(1000) == []


def test_a_ring_that_never_brought_anything_is_down() -> None:
    watch = RingWatch(2, lacking=2)
    brought(watch, 1, 0)
    brought(watch, 2, 0)
    assert watch.changes(30) == [RingDown(t=30, ring=1, peer="n2", since=None)]


class Ends:
    """Two nodes with a socket each on two rings, on this machine's loopback interface."""

    def __init__(self) -> None:
        port = _free_port()
        names = {"n1": 1, "n2": 2}
        self.nodes = {}
        self.mergers = {name: RingMerger(2, lacking=2) for name in names}
        for name, number in names.items():
            sockets = [
                RingSocket(
                    f"127.77.{ring}.{number}",
                    port,
                    {o: f"127.77.{ring}.{n}" for o, n in names.items() if o != name},
                    memalloc=False,
                    ring=ring - 1,
                )
                for ring in (1, 2)
            ]
            self.nodes[name] = RingSockets(sockets)

    def heard(self, name: str) -> list[Arrival]:
        rings = self.nodes[name]
        select.select(rings.sockets, [], [], 5)
        return list(self.mergers[name].merge(rings.drain()))

    def close(self) -> None:
        for rings in self.nodes.values():
            for each in rings.sockets:
                with contextlib.suppress(OSError):
                    each.close()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.77.1.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def test_a_datagram_goes_out_on_every_ring_and_is_heard_once(ends: Ends) -> None:
    assert ends.nodes["n1"].send(b"hello", ["n2"]) == (["n2"], [])
    waiting = [select.select([each], [], [], 5)[0] for each in ends.nodes["n2"].sockets]
    assert all(waiting), "on both"
    assert [(one.payload, one.name) for one in ends.heard("n2")] == [(b"hello", "n1")]
    assert ends.mergers["n2"].changes(7) == []


def test_one_ring_is_enough_and_the_other_is_told_to_be_down(ends: Ends) -> None:
    ends.nodes["n1"].sockets[0].close()
    for payload in (b"1", b"2"):
        assert ends.nodes["n1"].send(payload, ["n2"]) == (["n2"], [])
        assert [one.payload for one in ends.heard("n2")] == [payload]
    assert ends.mergers["n2"].changes(7) == [RingDown(t=7, ring=0, peer="n1", since=None)]
    ends.nodes["n1"].sockets[1].close()
    assert ends.nodes["n1"].send(b"3", ["n2"]) == ([], ["n2"])


def _node(*networks: str) -> ClusterNode:
    links = [
        NodeLink(f"n1-eth{i}", f"s1-eth{i}", f"10.77.{i}.1", network)
        for i, network in enumerate(networks)
    ]
    return ClusterNode("n1", "abcdn1", 1, tuple(links))


def test_the_rings_are_the_cluster_network_or_every_network() -> None:
    assert rings_of(_node("cluster")) == ("10.77.0.1",)
    assert rings_of(_node("cluster", "storage")) == ("10.77.0.1",)
    assert rings_of(_node("a", "b")) == ("10.77.0.1", "10.77.1.1")


def _record(**more: Any) -> dict[str, Any]:
    peers = {"n2": {"index": 1, "addresses": ["10.0.1.2", "10.0.2.2"]}}
    base = {"node": "n1", "index": 0, "addresses": ["10.0.1.1", "10.0.2.1"]}
    common = {"interval_ns": 1000, "misses": 3, "events": "e", "fence": "f"}
    return {**base, **common, "peers": peers, **more}


def test_every_node_has_an_address_on_every_ring(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(orjson.dumps(_record()))
    config = read_config(path, HeartbeatConfig)
    assert config.addresses == ("10.0.1.1", "10.0.2.1")
    assert config.peers["n2"].addresses == ("10.0.1.2", "10.0.2.2")
    path.write_bytes(orjson.dumps(_record(addresses=["10.0.1.1"])))
    with pytest.raises(BadInput, match="an address on each ring"):
        read_config(path, HeartbeatConfig)


def test_corosync_gets_a_link_for_each_ring_all_on_one_port() -> None:
    totem = Totem(1000, 0, 4, 50)
    addresses = {"n1": ("10.77.1.1", "10.77.2.1"), "n2": ("10.77.1.2", "10.77.2.2")}
    text = corosync_conf(
        CorosyncConfig(
            node="n1",
            cluster="abcd",
            addresses=addresses,
            port=7405,
            totem=totem,
            events=Path("e"),
            fence=Path("f"),
        )
    )
    for line in ("ring0_addr: 10.77.1.2", "ring1_addr: 10.77.2.2", "linknumber: 1"):
        assert line in text
    assert text.count("mcastport: 7405") == 2


def test_a_peer_is_missed_when_the_last_link_to_it_is_down() -> None:
    links = KnetLinks(2)
    assert not links.down(2, 0)
    assert not links.down(3, 1)
    assert links.down(2, 1)
    links.up(2, 0)
    assert links.down(2, 0)
    assert KnetLinks(1).down(2, 0), "an only link is the last"


def test_links_are_read_from_the_log() -> None:
    assert read_notice("[KNET  ] link: host: 3 link: 1 is down") == LinkDown(3, 1)
    assert read_notice("[KNET  ] rx: host: 3 link: 1 is up") == LinkUp(3, 1)
