"""The controller against real Open vSwitch, under OS-Ken."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reserve_agent.controller.rules.settings import Shed
from tests.system import frames
from tests.system.openflow_bed import HEARTBEAT, NBD, Bed, bed, eventually, flows, star
from topologies.wiring import shape_with_deferral

pytestmark = pytest.mark.root

DGRAM, STREAM = socket.SOCK_DGRAM, socket.SOCK_STREAM


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Three hosts, one switch, nothing shed; shared by tests that leave it as it is."""
    with star(tmp_path_factory.mktemp("calm")) as made:
        yield made


def burst(net: Bed, source: str, address: str, port: int, count: int, size: int = 100) -> None:
    """Datagrams from one host to a port of another, without waiting."""
    sender = net.socket(source, DGRAM)
    for _ in range(count):
        sender.sendto(bytes(size), (address, port))


def receiver(net: Bed, node: str, port: int) -> socket.socket:
    """A socket that is bound to a port."""
    made = net.socket(node, DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.bind(("", port))
    return made


def received(bound: socket.socket, seconds: float = 1.0) -> int:
    """How many datagrams come until there is a silence."""
    bound.settimeout(seconds)
    count = 0
    while True:
        try:
            bound.recv(2000)
        except TimeoutError:
            return count
        count += 1


def growth(net: Bed, act: Callable[[], None], table: str = "table") -> dict[tuple[str, str], int]:
    """What the counters of ``net`` grow by while something is done."""
    before = net.packets(table)
    act()
    after = net.packets(table)
    return {key: count - before.get(key, 0) for key, count in after.items()}


def test_all_hosts_reach_each_other(calm: Bed) -> None:
    for node in calm.pids:
        for other in range(1, 4):
            assert calm.reaches(node, f"10.98.0.{other}")


def test_each_class_is_counted_for_the_node_it_goes_to(calm: Bed) -> None:
    assert calm.reaches("n1", "10.98.0.2")

    def send() -> None:
        burst(calm, "n1", "10.98.0.2", HEARTBEAT, 20)
        burst(calm, "n1", "10.98.0.2", 1234, 11)
        burst(calm, "n1", "10.98.0.3", 5405, 7)

    grown = growth(calm, send)
    assert grown["n2", "heartbeat"] == 20
    assert grown["n2", "other"] == 11
    assert grown["n3", "heartbeat"] == 7
    assert grown["n1", "control"] > 0  # "port unreachable" comes back


def test_a_tagged_frame_has_the_class_of_what_is_in_it(calm: Bed) -> None:
    def send() -> None:
        raw = calm.raw_socket("n2")
        for payload in (
            frames.ipv4(17, frames.udp(1, HEARTBEAT)),
            frames.ipv4(6, frames.tcp(1, NBD, 1)),
        ):
            for _ in range(5):
                raw.send(frames.frame(frames.IP, payload, (7,)).ljust(60, b"\0"))

    grown = growth(calm, send)
    assert grown["n1", "heartbeat"] == 5
    assert grown["n1", "block-io"] == 5


def test_neighbour_discovery_is_control(calm: Bed) -> None:
    solicitation = frames.ipv6(frames.ICMPV6, bytes([135, 0, 0, 0]) + bytes(20))

    def send() -> None:
        raw = calm.raw_socket("n2")
        for _ in range(200):
            raw.send(frames.frame(frames.IPV6, solicitation))

    grown = growth(calm, send)
    assert 200 <= grown["n1", "control"] <= 220


def exchange(net: Bed, port: int, first: bytes, *, server_speaks: bool, rounds: int = 50) -> None:
    """A connection from n1 to n2 whose first payload is ``first``, and many more after it."""
    listener = net.socket("n2", STREAM)
    listener.bind(("", port))
    listener.listen(1)
    client = net.socket("n1", STREAM)
    client.connect(("10.98.0.2", port))
    server, _ = listener.accept()
    speaker, hearer = (server, client) if server_speaks else (client, server)
    speaker.sendall(first)
    hearer.recv(2000)
    time.sleep(0.2)
    for _ in range(rounds):
        client.sendall(bytes(1000))
        left = 1000
        while left:
            left -= len(server.recv(left))
    for one in (client, server, listener):
        one.close()


LOGIN = bytes([0x43, 0x87, 0, 0, 0, 0, 0, 0x80]) + bytes(40) + b"InitiatorName=iqn.2026-11.x:n1\0"


@pytest.mark.parametrize(
    ("port", "first", "server_speaks", "cls"),
    [
        (20001, b"NBDMAGICIHAVEOPT\0\3", True, "block-io"),
        (20002, LOGIN, False, "block-io"),
        (20003, b"GET / HTTP/1.1\r\n\r\n", False, "other"),
    ],
    ids=["nbd", "iscsi", "http"],
)
def test_a_connection_on_an_unusual_port_is_known_by_its_first_bytes(
    calm: Bed, port: int, first: bytes, server_speaks: bool, cls: str
) -> None:
    looks = looked_at(calm)
    grown = growth(calm, lambda: exchange(calm, port, first, server_speaks=server_speaks))
    assert grown["n2", cls] >= 50
    ends = f":{port}"
    told = [
        event
        for event in calm.events("connection.classified")
        if ends in str(event["source"]) + str(event["destination"])
    ]
    assert [event["cls"] for event in told] == [cls]
    assert looked_at(calm) - looks <= 12  # of more than 100: until the flow was there


def looked_at(net: Bed) -> int:
    """Packets that were copied to the controller."""
    copying = [line for line in flows(net.switches[0].name) if "CONTROLLER" in line]
    return sum(int(line.split("n_packets=")[1].split(",")[0]) for line in copying)


class Stream:
    """Numbered datagrams from n1 to n2 every 5 ms, in a thread; ``missing`` says which got lost."""

    def __init__(self, net: Bed, address: str = "10.98.0.2", every: float = 0.005) -> None:
        self._sender = net.socket("n1", DGRAM)
        self._bound = receiver(net, "n2", HEARTBEAT)
        self._address = (address, HEARTBEAT)
        self._every = every
        self._over = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self._sender.sendto(self.sent.to_bytes(4, "big"), self._address)
            self.sent += 1

    def missing(self) -> set[int]:
        """Numbers that have not arrived."""
        self._bound.settimeout(0.5)
        found = set()
        try:
            while True:
                found.add(int.from_bytes(self._bound.recv(100), "big"))
        except TimeoutError:
            return set(range(self.sent)) - found


def test_killed_and_restarted_the_switch_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    with star(tmp_path) as net:
        assert net.reaches("n1", "10.98.0.2")
        with Stream(net) as stream:
            eventually(lambda: stream.sent > 50, "traffic")
            net.kill()
            at_kill = stream.sent
            eventually(lambda: stream.sent > at_kill + 100, "traffic without a controller")
            net.start()
            net.wait_until_ready()
            at_ready = stream.sent
            eventually(lambda: stream.sent > at_ready + 50, "traffic")
        assert stream.missing() == set()
        assert net.packets()["n2", "heartbeat"] == stream.sent  # the counters went on
        assert net.ask("status")["restarts"] == 1
        assert [event["kind"] for event in net.history if "controller." in str(event["kind"])] == [
            "controller.start",
            "controller.ready",
            "controller.restarted",
            "controller.start",
            "controller.back",
        ]
        epochs = {line.split("cookie=0xcb")[1][2:6] for line in flows(net.switches[0].name)}
        assert epochs == {"0002"}
        assert net.stop() == 0
        assert "Traceback" not in net.log


def test_what_somebody_else_has_put_into_a_switch_is_removed(tmp_path: Path) -> None:
    with star(tmp_path) as net:
        net.kill()
        name = net.switches[0].name
        net.control(name, "add-flow", "table=2,priority=9999,actions=drop")
        net.control(name, "del-flows", "table=0,tcp,tp_dst=10809")
        assert not net.reaches("n1", "10.98.0.2", 0.5)
        net.start()
        net.wait_until_ready()
        assert net.reaches("n1", "10.98.0.2")
        assert not any("priority=9999" in line for line in flows(name))
        assert any("tp_dst=10809" in line for line in flows(name))


def test_it_is_not_ready_before_every_switch_is(tmp_path: Path) -> None:
    with bed(tmp_path) as net:
        first, second = net.switch("s1"), net.switch("s2")
        net.host("n1", first, "10.98.0.1")
        net.host("n2", second, "10.98.0.2")
        net.link(first, second)
        net.configure()
        net.start()
        net.connect(net.switches[:1])
        eventually(lambda: net.switch_is_ready(first), "the first switch")
        assert not net.is_ready()
        net.connect(net.switches[1:])
        net.wait_until_ready()
        assert net.reaches("n1", "10.98.0.2")
        net.disconnect(second)
        eventually(lambda: not net.is_ready(), "the loss of a switch")
        assert [event["switch"] for event in net.events("controller.lost")] == [second]
        assert net.reaches("n1", "10.98.0.2")
        net.connect(net.switches[1:])
        net.wait_until_ready()
        assert net.events("controller.back")


def test_drop_sheds_other_traffic_and_nothing_else(tmp_path: Path) -> None:
    with star(tmp_path, Shed("drop")) as net:
        others, beats = receiver(net, "n2", 1234), receiver(net, "n2", HEARTBEAT)
        assert net.reaches("n1", "10.98.0.2")
        with net.under_pressure("n2"):
            burst(net, "n1", "10.98.0.2", 1234, 30)
            burst(net, "n1", "10.98.0.2", HEARTBEAT, 30)
            burst(net, "n1", "10.98.0.3", 1234, 30)
            assert received(beats) == 30
            assert received(others) == 0
            assert net.reaches("n1", "10.98.0.2")
        burst(net, "n1", "10.98.0.2", 1234, 30)
        assert received(others) == 30
        assert net.packets("dropped") == {("n2", "other"): 30}
        assert net.packets()["n2", "other"] == 60
        on, off = net.events("shed.applied")
        assert (on["target"], on["on"], off["on"]) == ("n2", True, False)
        assert on["pressure_at"] < on["in_force_at"]  # type: ignore[operator]


def test_meter_lets_its_rate_through(tmp_path: Path) -> None:
    with star(tmp_path, Shed("meter", rate_kbit=200, burst_kbit=50)) as net:
        others, beats = receiver(net, "n2", 1234), receiver(net, "n2", HEARTBEAT)
        assert net.reaches("n1", "10.98.0.2")
        with net.under_pressure("n2"):
            burst(net, "n1", "10.98.0.2", 1234, 100, 1000)
            burst(net, "n1", "10.98.0.2", HEARTBEAT, 100, 1000)
            assert received(beats) == 100
            through = received(others)
        assert 0 < through < 30  # 100 packets are 834 kbit, the burst 50
        assert net.packets("dropped") == {("n2", "other"): 100 - through}
        burst(net, "n1", "10.98.0.2", 1234, 100, 1000)
        assert received(others) == 100


def test_queue_defers_and_loses_nothing(tmp_path: Path) -> None:
    with star(tmp_path, Shed("queue", rate_kbit=400)) as net:
        port = next(host.name for host in net.hosts if host.node == "n2")
        shape_with_deferral({port: 100.0}, 1 << 20, 400)
        others, beats = receiver(net, "n2", 1234), receiver(net, "n2", HEARTBEAT)
        assert net.reaches("n1", "10.98.0.2")
        burst(net, "n1", "10.98.0.2", 1234, 50, 1000)
        assert timed(others, 50) < 0.5  # nothing waits without pressure
        with net.under_pressure("n2"):
            burst(net, "n1", "10.98.0.2", 1234, 50, 1000)
            burst(net, "n1", "10.98.0.2", HEARTBEAT, 50, 1000)
            assert timed(beats, 50) < 0.5  # and these do not wait for those
            assert 0.6 < timed(others, 50) < 2.0  # 50 packets are 417 kbit
        burst(net, "n1", "10.98.0.2", 1234, 50, 1000)
        assert timed(others, 50) < 0.5
        assert net.packets("dropped") == {}


def timed(bound: socket.socket, count: int) -> float:
    """Seconds until so many datagrams have come; all within 3 s."""
    bound.settimeout(3.0)
    start = time.monotonic()
    for _ in range(count):
        bound.recv(2000)
    return time.monotonic() - start


def leaf_spine(net: Bed) -> list[str]:
    """Two leaves with a host each, two spines; returns leaves and spines."""
    names = [net.switch(name) for name in ("l1", "l2", "p1", "p2")]
    for number, leaf in enumerate(names[:2], 1):
        net.host(f"n{number}", leaf, f"10.98.0.{number}")
        for spine in names[2:]:
            net.link(leaf, spine)
    net.configure()
    net.connect()
    net.start()
    net.wait_until_ready()
    return names


def test_a_link_of_two_may_fail_without_a_controller(tmp_path: Path) -> None:
    with bed(tmp_path) as net:
        leaf_spine(net)
        assert net.reaches("n1", "10.98.0.2")
        net.kill()
        for link in net.links:
            net.set_link(link, up=False)
            eventually(lambda: net.reaches("n1", "10.98.0.2", 1.0), f"a way without {link}", 5.0)
            net.forget_neighbours()
            assert net.reaches("n2", "10.98.0.1")  # asked for anew, and off the tree
            net.set_link(link, up=True)


def test_floods_take_another_tree_when_a_link_is_down(tmp_path: Path) -> None:
    with bed(tmp_path) as net:
        leaf_spine(net)
        hearer = receiver(net, "n2", 4000)
        shouter = net.socket("n1", DGRAM)
        shouter.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

        def is_heard() -> bool:
            shouter.sendto(b"all", ("10.98.0.255", 4000))
            return received(hearer, 0.2) == 1

        assert is_heard()
        for link in net.links[:2]:
            net.set_link(link, up=False)
            eventually(is_heard, f"a tree without {link}", 5.0)
            net.set_link(link, up=True)
            time.sleep(0.2)
            assert is_heard()  # once: no loop
        assert net.events("controller.tree")


def test_the_other_port_of_a_node_is_taken_when_one_is_dead(tmp_path: Path) -> None:
    with bed(tmp_path) as net:
        one, other = net.switch("ra"), net.switch("rb")
        for number in (1, 2):
            for switch in (one, other):
                net.host(f"n{number}", switch, f"10.98.0.{number}")
        net.link(one, other)
        net.configure()
        net.connect()
        net.start()
        net.wait_until_ready()
        net.accept_at_any_interface("n2")
        assert net.reaches("n1", "10.98.0.2")
        net.kill()
        dead = next(port for port in net.hosts if port.node == "n2" and port.switch == one)
        with Stream(net) as stream:
            eventually(lambda: stream.sent > 20, "traffic")
            net.set_port(dead.name, up=False)
            at = stream.sent
            eventually(lambda: stream.sent > at + 200, "traffic by the other port")
        late = {number for number in stream.missing() if number > at + 100}
        assert late == set()


GARBAGE: dict[str, bytes] = {
    "no OpenFlow": b"GET / HTTP/1.1\r\n" + bytes(21536),
    "another version": bytes.fromhex("09 00 0008 00000001"),
    "length under a header": bytes.fromhex("04 00 0003 00000001"),
    "unknown type": bytes.fromhex("04 ff 0008 00000001"),
    "cut reply": bytes.fromhex("04 00 0008 00000001  04 06 000c 00000002 00000000"),
    "hello element too long": bytes.fromhex("04 00 0010 00000001 0001 00ff 00000010"),
    "statistics that end in a row": bytes.fromhex("04 00 0008 00000001  04 13 0018 00000003")
    + bytes.fromhex("0001 0000 00000000  0038 0000 00000000"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_openflow_is_counted_and_harms_nobody(calm: Bed, name: str) -> None:
    before = calm.ask("status")["malformed"]
    with socket.create_connection(("127.0.0.1", calm.port), timeout=2.0) as peer:
        peer.sendall(GARBAGE[name])
        eventually(lambda: calm.ask("status")["malformed"] > before, "the count")
    assert calm.is_ready()
    assert calm.reaches("n1", "10.98.0.2")
    reasons: list[Any] = [event["reason"] for event in calm.events("openflow.malformed")]
    assert all("\n" not in reason for reason in reasons)


def test_it_has_written_no_traceback(calm: Bed) -> None:
    assert "Traceback" not in calm.log
    assert 1 <= len(calm.log.splitlines()) <= calm.ask("status")["malformed"]
