"""A node's metrics: what each event does to them, and that nothing else does."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Sequence
from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.faults import NodeReset
from reserve_agent.contract.events.guests import GuestCounted, GuestReady
from reserve_agent.contract.events.heartbeats import (
    HeartbeatLate,
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
)
from reserve_agent.contract.events.membership import NodeEjected, ViewInstalled
from reserve_agent.contract.events.pressure import (
    HookEventsLost,
    PacketDropped,
    PoolConfigured,
    PoolSampled,
    PressureEnded,
)
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import (
    ServiceStarted,
    ServiceStopped,
    WriteAcknowledged,
    WriteFailed,
    WritesVerified,
)
from reserve_agent.contract.packets import Hook, PacketClass, Reason
from reserve_agent.exporter import Exporter, PacketCounts
from tests.unit.prometheus_registry import registry_of

POOL = {"free": 100, "reserve": 256, "dirty": 7, "low_water": 90, "pressure": 1}


class Node:
    """An exporter with its readings."""

    def __init__(self) -> None:
        self.packets: PacketCounts = {}
        self.pool = dict(POOL)
        self.exporter = Exporter(
            "n1", "abcd", "control", lambda: self.packets, lambda name: self.pool[name]
        )
        self.registry = registry_of(self.exporter)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"crunchbed_{name}", {"node": "n1", **labels})

    def names(self) -> set[str]:
        return {sample.name for family in self.registry.collect() for sample in family.samples}


@pytest.fixture
def node() -> Node:
    return Node()


PRESSURE = PressureEnded(t=0, since=0, duration_ns=70_000)
WRITE = WriteAcknowledged(t=3_000_000, submitted=1_000_000, transport="nbd")
EJECTED = NodeEjected(t=0, reason="heartbeats_missed", false=True)
SERVES = ServiceStarted(t=0, target="n1", transport="nbd", taken_from="n4")
CONFIGURED = PoolConfigured(total=0, reserve=0, clean=0, computed=0, policy="none", metrics_port=0)


def guest_counted(**counts: int) -> GuestCounted:
    """What a kernel has counted since its boot."""
    zero = dict.fromkeys(GuestCounted.__annotations__, 0)
    return GuestCounted(**{**zero, "failed": {}, **counts})  # type: ignore[arg-type]


def missed(peer: str | None, tag: str | None = None) -> HeartbeatMissed:
    return HeartbeatMissed(t=1, peer=peer, deadline=0, tag=tag)


def view(t: int, *members: str, removed: Sequence[str] = ()) -> ViewInstalled:
    return ViewInstalled(t=t, number=1, members=members, removed=removed)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (HeartbeatSent(peers=["n2", "n3"]), 'heartbeats_sent_total{node="n1"} 2'),
        (HeartbeatSent(peers=40), 'heartbeats_sent_total{node="n1"} 40'),
        (
            HeartbeatReceived(counts={"n2": 9, "n3": 0}, malformed=0, late=0),
            'heartbeats_received_total{node="n1",peer="n2"} 9',
        ),
        (
            missed("n2"),
            'heartbeats_missed_total{cause="unknown",node="n1",peer="n2"} 1',
        ),
        (
            missed(None),
            'heartbeats_missed_total{cause="unknown",node="n1",peer="unknown"} 1',
        ),
        (EJECTED, 'nodes_ejected_total{false="true",node="n1",reason="heartbeats_missed"} 1'),
        (view(0, "n1", "n3"), 'membership_size{node="n1"} 2'),
        (PRESSURE, 'pressure_duration_seconds_count{node="n1"} 1'),
        (PRESSURE, 'pressure_duration_seconds_bucket{le="0.0001",node="n1"} 1'),
        (PRESSURE, 'pressure_duration_seconds_bucket{le="5e-05",node="n1"} 0'),
        (WRITE, 'block_io_seconds_sum{node="n1",op="write",transport="nbd"} 0.002'),
        (
            WriteFailed(transport="nbd"),
            'block_io_errors_total{node="n1",op="write",transport="nbd"} 1',
        ),
        (HeartbeatLate(late_ns=1), 'timers_late_total{node="n1"} 1'),
        (SERVES, 'serving{node="n1"} 1'),
        (SERVES, 'failovers_total{node="n1"} 1'),
        (replace(SERVES, taken_from=None), 'failovers_total{node="n1"} 0'),
        (ServiceStopped(target="n1"), 'serving{node="n1"} 0'),
    ],
)
def test_an_event_moves_its_metric(event: Event, line: str, node: Node) -> None:
    node.exporter.observe(event)
    text = generate_latest(node.registry).decode().replace(".0\n", "\n")
    assert f"\ncrunchbed_{line}\n" in text


def test_other_events_move_nothing(node: Node) -> None:
    before = generate_latest(node.registry)
    counters = ("dirty", "demand", "rx_running", "rx_stalled", "hoarded", "tx", "low_water")
    node.exporter.observe(PoolSampled(free=3, **dict.fromkeys(counters, 0)))
    node.exporter.observe(DaemonReady(name="heartbeat"))
    assert generate_latest(node.registry) == before


def test_the_pool_is_read_when_somebody_asks(node: Node) -> None:
    names = {"pages_free": "free", "pages_reserved": "reserve", "pages_dirty": "dirty"}
    names |= {"pages_low_water": "low_water", "pressure_active": "pressure"}
    assert {name: node.value(name) for name in names} == {n: POOL[f] for n, f in names.items()}
    node.pool["free"] = 3
    assert node.value("pages_free") == 3


def test_packets_are_those_of_the_hooks(node: Node) -> None:
    node.packets = {
        (Hook.RECEIVE, PacketClass.BLOCK_IO, Reason.FROM_RESERVE): (5, 8),
        (Hook.DELIVER, PacketClass.OTHER, Reason.NOT_MEMALLOC): (2, 2),
    }
    labels = {"class": "block-io", "hook": "receive", "verdict": "pass", "reason": "from_reserve"}
    assert node.value("packets_total", **labels) == 5
    labels = {"class": "other", "hook": "deliver", "verdict": "drop", "reason": "not_memalloc"}
    assert node.value("packets_total", **labels) == 2


def test_what_can_be_counted_is_zero_before_it_happens(node: Node) -> None:
    """An ejection that makes a series appear is no rise to a rule that watches for one."""
    for name in ("heartbeats_sent", "timers_late", "hook_events_lost"):
        assert node.value(f"{name}_total") == 0
    ejected = {"reason": "heartbeats_missed", "false": "true"}
    assert node.value("nodes_ejected_total", **ejected) == 0
    assert node.value("pressure_duration_seconds_count") == 0


def dropped(tag: str, **more: str) -> PacketDropped:
    seen = {"hook": "receive", "cls": "heartbeat", "reason": "not_memalloc", **more}
    return PacketDropped(t=0, tag=tag, hook=seen["hook"], cls=seen["cls"], reason=seen["reason"])


def test_a_miss_has_the_cause_that_its_own_node_has_seen(node: Node) -> None:
    node.exporter.observe(dropped("aa"))
    node.exporter.observe(dropped("bb", reason="alloc_failed"))
    node.exporter.observe(dropped("cc", hook="transmit"))
    node.exporter.observe(dropped("dd", cls="other"))
    for tag in ("aa", "bb", "cc", "dd", "ee", None):
        node.exporter.observe(missed("n2", tag))
    causes = {"reserve_drop": 1, "allocation_failure": 1, "unknown": 4}
    for cause, count in causes.items():
        assert node.value("heartbeats_missed_total", peer="n2", cause=cause) == count


def test_drops_are_not_remembered_for_ever(node: Node) -> None:
    for number in range(3000):
        node.exporter.observe(dropped(str(number)))
    for tag in ("0", "2999"):
        node.exporter.observe(missed("n2", tag))
    for cause in ("unknown", "reserve_drop"):
        assert node.value("heartbeats_missed_total", peer="n2", cause=cause) == 1


def test_a_failover_is_timed_from_the_view_without_the_last_server(node: Node) -> None:
    node.exporter.observe(replace(SERVES, t=5_000_000_000))
    assert node.value("failover_seconds_count") == 0, "nobody knows when n4 went"
    node.exporter.observe(view(6_000_000_000, "n1", "n2", removed=["n4"]))
    node.exporter.observe(replace(SERVES, t=6_300_000_000))
    assert node.value("failover_seconds_sum") == pytest.approx(0.3)
    assert node.value("failovers_total") == 2


def test_blocks_that_were_lost(node: Node) -> None:
    assert node.value("writes_lost_total") == 0
    node.exporter.observe(WritesVerified(lost=3))
    assert node.value("writes_lost_total") == 3


def test_lost_hook_events(node: Node) -> None:
    for count in (40, 2):
        node.exporter.observe(HookEventsLost(count=count))
    assert node.value("hook_events_lost_total") == 42


def test_a_node_without_power_serves_nothing(node: Node) -> None:
    node.exporter.observe(SERVES)
    node.exporter.observe(NodeReset())
    assert node.value("serving") == 0


def test_a_node_without_power_is_a_member_of_nothing(node: Node) -> None:
    node.exporter.observe(view(0, "n1", "n2", "n3"))
    node.exporter.observe(NodeReset())
    assert node.value("membership_size") == 0


def test_every_series_has_the_prefix_and_the_node(node: Node) -> None:
    node.exporter.observe(CONFIGURED)
    node.packets = {(Hook.RECEIVE, PacketClass.OTHER, Reason.GRANTED): (1, 1)}
    for family in node.registry.collect():
        for sample in family.samples:
            assert sample.name.startswith("crunchbed_")
            assert sample.labels["node"] == "n1"
    assert not any(name.endswith("_created") for name in node.names())
    labels = {"run": "abcd", "scenario": "control", "policy": "none"}
    assert node.value("run_info", **labels) == 1


def test_scrapes_are_timed_and_served_from_one_path(node: Node) -> None:
    port = node.exporter.serve()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(3):  # on one connection
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'crunchbed_scrape_seconds_count{node="n1"} 2.0' in text
    connection.request("GET", "/")
    refused = connection.getresponse()
    assert (refused.status, refused.read()) == (404, b"see /metrics\n")
    connection.request("GET", "/metrics?name=value")
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    ("request_text", "answer"),
    [
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK"),
        (b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 OK"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\n" + b"x: y\r\n" * 5000, b"HTTP/1.1 200 OK"),
    ],
)
def test_a_connection_ends_with_its_last_request(
    request_text: bytes, answer: bytes, node: Node
) -> None:
    with socket.create_connection(("127.0.0.1", node.exporter.serve()), timeout=5) as asking:
        asking.sendall(request_text)
        got = b""
        with contextlib.suppress(ConnectionResetError):  # it need not read all that was said
            while part := asking.recv(1 << 16):
                got += part
    assert got.startswith(answer)


def test_a_port_that_is_wished_for_is_kept_where_it_is_free(node: Node) -> None:
    first = node.exporter.serve()
    assert first > 0
    other = Node().exporter.serve(first)
    assert other not in (0, first)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert Node().exporter.serve(port) == port


def test_two_exporters_share_nothing() -> None:
    one, other = Node(), Node()
    one.exporter.observe(HeartbeatSent(peers=["n2"]))
    assert other.value("heartbeats_sent_total") == 0


def test_an_ejection_and_its_end_are_timed(node: Node) -> None:
    second = 1_000_000_000
    node.exporter.observe(view(second, "n1", "n2"))
    assert node.value("flaps_total") == 0, "the first view is no return"
    node.exporter.observe(replace(EJECTED, t=2 * second))
    assert node.value("detection_delay_seconds_count") == 0, "a false one detected nothing"
    right = replace(EJECTED, t=2 * second, false=False, delay_ns=second // 2)
    node.exporter.observe(right)
    assert node.value("detection_delay_seconds_sum") == 0.5
    node.exporter.observe(view(3 * second, "n2"))
    assert node.value("flaps_total") == 0
    node.exporter.observe(view(5 * second, "n1", "n2"))
    node.exporter.observe(view(6 * second, "n1", "n2"))
    assert node.value("flaps_total") == 1
    assert node.value("recovery_seconds_sum") == 3


def test_a_machines_kernel_counts_its_packets_over_all_its_boots(node: Node) -> None:
    assert "crunchbed_packets_total" not in node.names()
    node.exporter.observe(GuestReady(kernel="6.1.0", uptime_ns=1))
    node.exporter.observe(guest_counted(rx_packets=7, tx_packets=5))
    node.exporter.observe(
        guest_counted(
            rx_packets=9,
            tx_packets=6,
            rx_dropped=1,
            rx_missed=2,
            rx_fifo_errors=4,
            pfmemalloc_drops=3,
        )
    )
    node.exporter.observe(GuestReady(kernel="6.1.0", uptime_ns=1))
    node.exporter.observe(guest_counted(rx_packets=1, tx_packets=1))

    def packets(hook: str, verdict: str, reason: str) -> float | None:
        labels = {"hook": hook, "class": "any", "verdict": verdict, "reason": reason}
        return node.value("packets_total", **labels)

    assert packets("receive", "pass", "granted") == 10
    assert packets("transmit", "pass", "granted") == 7
    assert packets("receive", "drop", "alloc_failed") == 7
    assert packets("deliver", "drop", "not_memalloc") == 3
