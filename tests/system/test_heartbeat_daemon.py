"""The heartbeat daemon on a real network: three nodes on a bridge."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.membership.datagram import Kind, parse_tag, tag_of
from tests.system.heartbeat_cluster import INTERVAL_NS, NAMES, Cluster, address, resume, stop

pytestmark = pytest.mark.root

SEND_GARBAGE = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for payload in (b"garbage", bytes([0xC1]) * 40, b""):
        sender.sendto(payload, (sys.argv[1], 7405))
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def running(cluster: Cluster) -> Cluster:
    for name in NAMES:
        cluster.start(name)
    cluster.wait(lambda: everybody_heard(cluster, since_ns=0), 5, "all hear all")
    return cluster


def everybody_heard(cluster: Cluster, since_ns: int) -> bool:
    """Whether every node has reported heartbeats of every peer since then."""
    heard = {
        (event["node"], peer)
        for event in cluster.of_kind("heartbeat.received")
        if event["t"] >= since_ns
        for peer, count in event["counts"].items()
        if count
    }
    return len(heard) == len(NAMES) * (len(NAMES) - 1)


def test_nobody_is_missed_then_a_stopped_node_is_ejected_and_joins_again(running: Cluster) -> None:
    began = time.monotonic_ns()
    running.wait(lambda: time.monotonic_ns() > began + 3_000_000_000, 4, "three quiet seconds")
    assert running.of_kind("heartbeat.miss") == []
    assert running.views(*NAMES) == [(1, list(NAMES))] * 3
    assert all(e["peers"] and "failed" not in e for e in running.of_kind("heartbeat.sent"))

    stop(running.daemons["n3"])
    stopped = time.monotonic_ns()
    running.wait(lambda: running.views("n1", "n2") == [(2, ["n1", "n2"])] * 2, 3, "n3 is out")
    assert running.fenced == [("n3", "n1")]
    assert running.daemons["n3"].poll() is not None
    assert {e["node"] for e in running.of_kind("membership.fence_request")} == {"n1"}
    suspected = {e["node"]: e for e in running.of_kind("membership.suspect")}
    assert suspected.keys() == {"n1", "n2"}
    assert all((e["peer"], e["misses"]) == ("n3", 3) for e in suspected.values())
    # 3.5 intervals after its last heartbeat, which may be one interval old; and some slack.
    assert all(e["t"] - stopped < 4 * INTERVAL_NS for e in suspected.values())
    assert_misses_name_what_was_not_sent(running)

    missed = len(running.of_kind("heartbeat.miss"))
    running.fence.released("n3")
    running.start("n3", incarnation=1, joining=True)
    running.wait(lambda: running.views(*NAMES) == [(3, list(NAMES))] * 3, 3, "n3 is in again")
    joined = time.monotonic_ns()
    running.wait(lambda: everybody_heard(running, joined), 3, "all hear all again")
    assert len(running.of_kind("heartbeat.miss")) == missed
    for daemon in running.daemons.values():
        assert daemon.terminate(2) == 0


def assert_misses_name_what_was_not_sent(cluster: Cluster) -> None:
    last_sent = cluster.of_kind("heartbeat.sent", "n3")[-1]["seq"]
    for observer in ("n1", "n2"):
        misses = cluster.of_kind("heartbeat.miss", observer)
        expected = list(range(last_sent + 1, last_sent + 1 + len(misses)))
        assert [miss["seq"] for miss in misses] == expected
        assert [parse_tag(miss["tag"]) for miss in misses] == [(2, 0, seq) for seq in expected]


def test_a_daemon_that_was_held_up_says_so_and_misses_nobody(running: Cluster) -> None:
    stop(running.daemons["n2"])
    running.wait(lambda: len(running.of_kind("heartbeat.miss", "n1")) == 2, 2, "n2 is missed")
    resume(running.daemons["n2"])
    running.wait(lambda: running.of_kind("heartbeat.late", "n2"), 2, "n2 reports its lateness")
    (late,) = running.of_kind("heartbeat.late", "n2")
    assert INTERVAL_NS < late["late_ns"] < 3 * INTERVAL_NS
    heard = time.monotonic_ns()
    running.wait(lambda: everybody_heard(running, heard), 3, "all hear all again")
    assert running.of_kind("heartbeat.miss", "n2") == []
    assert running.views(*NAMES) == [(1, list(NAMES))] * 3
    # A slot that n2 slept through is gone, and its number with it; only the last is sent late.
    numbers = [e["seq"] for e in running.of_kind("heartbeat.sent", "n2")]
    first, second = (e["seq"] for e in running.of_kind("heartbeat.miss", "n1"))
    assert (first in numbers, second in numbers) == (False, True)


def test_datagrams_that_are_no_heartbeats_are_counted(running: Cluster) -> None:
    running.namespaces["n2"].run(sys.executable, "-c", SEND_GARBAGE, address("n1"))
    running.wait(
        lambda: sum(e["malformed"] for e in running.of_kind("heartbeat.received", "n1")) == 3,
        3,
        "n1 counts them",
    )
    assert running.daemons["n1"].poll() is None


def test_a_node_whose_port_is_down_goes_on_and_says_what_failed(running: Cluster) -> None:
    running.namespaces["n3"].ip("link", "set", "eth0", "down")
    running.wait(
        lambda: [e for e in running.of_kind("heartbeat.sent", "n3") if "failed" in e],
        2,
        "n3 reports failed sending",
    )
    (event, *_) = [e for e in running.of_kind("heartbeat.sent", "n3") if "failed" in e]
    assert (event["failed"], event["peers"]) == (["n1", "n2"], [])


def test_without_hooks_memalloc_is_refused_in_one_line(cluster: Cluster) -> None:
    daemon = cluster.start("n1", memalloc=True)
    cluster.wait(lambda: daemon.poll() is not None, 3, "the daemon gives up")
    assert daemon.poll() == 1
    assert daemon.log.read_text().count("\n") == 1
    assert "SO_MEMALLOC" in daemon.last_words()


@pytest.mark.parametrize(
    "settings, word", [({"intervall_ns": 1}, "intervall_ns"), ({"misses": 0}, "misses")]
)
def test_a_wrong_configuration_is_refused_in_one_line(
    cluster: Cluster, settings: dict[str, int], word: str
) -> None:
    daemon = cluster.start("n1", **settings)
    cluster.wait(lambda: daemon.poll() is not None, 3, "the daemon gives up")
    assert daemon.poll() == 2
    assert daemon.log.read_text().count("\n") == 1
    assert word in daemon.last_words()


SWIM = {"kind": "swim", "protocol_period_ns": INTERVAL_NS, "ping_timeout_ns": INTERVAL_NS // 2}


def test_with_swim_a_stopped_node_is_ejected_and_joins_again(cluster: Cluster) -> None:
    for name in NAMES:
        cluster.start(name, detector=SWIM)
    cluster.wait(lambda: everybody_heard(cluster, since_ns=0), 5, "all hear all")
    began = time.monotonic_ns()
    cluster.wait(lambda: time.monotonic_ns() > began + 3_000_000_000, 4, "three quiet seconds")
    assert cluster.of_kind("heartbeat.miss") == []
    quiet = [e for e in cluster.of_kind("heartbeat.sent", "n1") if e["t"] > began + 10**9]
    assert {e["what"] for e in quiet} == {"ping", "ack"}
    assert all(len(e["peers"]) == 1 for e in quiet)

    stop(cluster.daemons["n3"])
    cluster.wait(lambda: cluster.views("n1", "n2") == [(2, ["n1", "n2"])] * 2, 4, "n3 is out")
    assert [target for target, _ in cluster.fenced] == ["n3"]
    misses = cluster.of_kind("heartbeat.miss")
    pings = {e["tag"]: e for e in cluster.of_kind("heartbeat.sent") if e["what"] == "ping"}
    for miss in misses:
        ping = pings[miss["probe"]]
        assert (ping["node"], ping["peers"], ping["seq"]) == (miss["node"], ["n3"], miss["seq"])
        assert miss["tag"] == tag_of(2, 0, miss["seq"], Kind.ACK)
    assert misses

    cluster.fence.released("n3")
    cluster.start("n3", incarnation=1, joining=True, detector=SWIM)
    cluster.wait(lambda: cluster.views(*NAMES) == [(3, list(NAMES))] * 3, 3, "n3 is in again")


def test_with_swim_a_short_stop_is_refuted_and_told_as_lateness(cluster: Cluster) -> None:
    for name in NAMES:
        cluster.start(name, detector=SWIM)
    cluster.wait(lambda: everybody_heard(cluster, since_ns=0), 5, "all hear all")
    stop(cluster.daemons["n2"])
    cluster.wait(lambda: cluster.of_kind("heartbeat.miss"), 3, "n2 is missed")
    resume(cluster.daemons["n2"])
    cluster.wait(lambda: cluster.of_kind("heartbeat.late", "n2"), 2, "n2 reports its lateness")
    heard = time.monotonic_ns()
    cluster.wait(lambda: time.monotonic_ns() > heard + 1_500_000_000, 3, "a suspicion's time")
    assert cluster.of_kind("membership.suspect") == []
    assert cluster.views(*NAMES) == [(1, list(NAMES))] * 3
