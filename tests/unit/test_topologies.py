"""The parts of a network that can be looked at without making one."""

import logging
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement
from tests.unit.interface_counters import InterfaceCounters, parse_counters
from topologies import cluster, ovs, switches
from topologies.cluster import Cluster
from topologies.ovs_buffer import sender_inodes
from topologies.reach import echo_request, is_reply

ROOT = Path(__file__).resolve().parents[2]
NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0
k3xqn1-eth0: 1000   20    0    3    0     0          0         0  2000      40    0    5    0  0 0
"""
NET_PACKET = """\
sk               RefCnt Type Proto  Iface R Rmem   User   Inode
0000000000000001 3      3    0003   12    1 0      0      111
0000000000000002 2      3    0000   0     0 0      0      222
0000000000000003 3      2    0806   0     1 0      0      333
"""


def test_counters() -> None:
    counters = parse_counters(NET_DEV, "k3xqn1-eth0")
    assert counters == InterfaceCounters(
        rx_bytes=1000, rx_packets=20, rx_dropped=3, tx_bytes=2000, tx_packets=40, tx_dropped=5
    )
    with pytest.raises(CrunchbedError, match="eth7"):
        parse_counters(NET_DEV, "eth7")


def test_the_sender_among_packet_sockets() -> None:
    assert sender_inodes(NET_PACKET) == {222}


def test_echo_request_has_a_right_checksum() -> None:
    for identifier, sequence in ((0xFFFF, 0xFFFF), (1, 0), (0x1234, 0x00FF)):
        words = struct.unpack("!4H", echo_request(identifier, sequence))
        total = sum(words)
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_only_an_answer_to_us_is_a_reply() -> None:
    def packet(kind: int, identifier: int, options: int = 0) -> bytes:
        header = bytes([0x45 + options]) + bytes(19 + 4 * options)
        return header + struct.pack("!BBHHH", kind, 0, 0, identifier, 1)

    assert is_reply(packet(0, 7), 7)
    assert is_reply(packet(0, 7, options=2), 7)
    assert not is_reply(packet(0, 8), 7)
    assert not is_reply(packet(3, 7), 7)
    assert not is_reply(packet(0, 7)[:24], 7)


def test_the_star() -> None:
    root_logger_class = logging.getLoggerClass()
    from topologies.topo import LayoutTopo, topos

    assert logging.getLoggerClass() is root_logger_class
    star = topos["star"](nodes=32, run_id="k3xq")
    assert isinstance(star, LayoutTopo)
    hosts, links = star.hosts(), star.links(withInfo=True)
    assert len(hosts) == 33
    assert star.nodeInfo("k3xqn1")["ip"] == "10.77.0.1/24"
    assert star.nodeInfo("k3xqst")["ip"] == "10.77.0.254/24"
    assert {info["port2"] for _, _, info in links} == set(range(1, 34))
    other = topos["star"](nodes=32, run_id="k3xr").links(withInfo=True)
    macs = [info[end] for _, _, info in [*links, *other] for end in ("addr1", "addr2")]
    assert len(set(macs)) == 4 * 33
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)
    longest = max(f"{name}-eth0" for name in hosts)
    assert len(longest) <= 15


@pytest.mark.parametrize(
    ("topology", "hosts", "links"),
    [("star,3", 4, 4), ("split,3", 4, 7), ("redundant,3", 4, 9), ("leaf-spine,4,2", 5, 9)],
)
def test_plain_mininet_loads_every_topology(topology: str, hosts: int, links: int) -> None:
    """``mn --custom`` executes the file's text outside of the project, and calls what it names."""
    file = ROOT / "topologies" / "topo.py"
    program = f"""
customs = {{}}
exec(compile(open({str(file)!r}).read(), {str(file)!r}, "exec"), customs, customs)
from mininet.util import buildTopo
made = buildTopo(customs["topos"], {topology!r})
print(len(made.hosts()), len(made.links()))
"""
    command = ["/usr/bin/python3", "-W", "ignore", "-c", program]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(hosts), str(links)], done.stderr


def test_what_mininet_reports_is_collected_and_not_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    from topologies.parts import captured_log

    lines: list[str] = []
    with captured_log(lines):
        logging.getLogger("mininet").error("*** gave up\n")
    assert "*** gave up" in lines
    assert capfd.readouterr() == ("", "")


def test_datapath_ids_differ_between_runs() -> None:
    from topologies.topo import topos

    ids = {
        topos["star"](run_id=run_id).nodeInfo(f"{run_id}s1")["dpid"] for run_id in ("a1aa", "a1ab")
    }
    assert len(ids) == 2


@pytest.mark.parametrize("nodes", [0, -1, 129])
def test_a_number_of_nodes_out_of_range(nodes: int) -> None:
    with pytest.raises(BadInput, match="1 to 128"):
        Cluster("k3xq", nodes=nodes)


@pytest.mark.parametrize("key", ["port_rate_mbit", "storage_rate_mbit"])
def test_a_rate_out_of_range(key: str) -> None:
    with pytest.raises(BadInput, match="port rate: 0 Mbit"):
        Cluster("k3xq", **{key: 0})  # type: ignore[arg-type]


def test_no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(MissingRequirement, match="root"):
        Cluster("k3xq").start()


@pytest.mark.parametrize(
    ("installed", "running", "kernel", "choice", "outcome"),
    [
        (True, True, True, "auto", "ovs-kernel"),
        (True, True, False, "auto", "ovs-user"),
        (False, False, False, "auto", "linux-bridge"),
        (True, False, False, "auto", "not running"),
        (True, True, True, "ovs-user", "ovs-user"),
        (True, True, False, "ovs-kernel", "no openvswitch module"),
        (False, False, False, "ovs-user", "not installed"),
        (False, False, False, "linux-bridge", "linux-bridge"),
    ],
)
def test_which_switch(
    monkeypatch: pytest.MonkeyPatch,
    installed: bool,
    running: bool,
    kernel: bool,
    choice: switches.SwitchChoice,
    outcome: str,
) -> None:
    monkeypatch.setattr(ovs, "is_installed", lambda: installed)
    monkeypatch.setattr(ovs, "is_running", lambda: running)
    monkeypatch.setattr(ovs, "has_kernel_datapath", lambda: kernel)
    if " " in outcome:
        with pytest.raises(MissingRequirement, match=outcome):
            switches.choose_switch(choice)
    else:
        assert switches.choose_switch(choice) == outcome


def test_an_unknown_switch() -> None:
    with pytest.raises(BadInput, match="'hub'"):
        switches.choose_switch("hub")  # type: ignore[arg-type]


def test_links_between_switches_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in the root namespace, and end only where somebody deletes them."""
    made = Cluster("k3xq", topology="redundant")
    left = {end.interface for trunk in made.layout.trunks for end in (trunk.one, trunk.other)}
    ends = {trunk.one.interface: trunk.other.interface for trunk in made.layout.trunks}

    def delete(names: list[str]) -> None:
        left.difference_update(names, [ends[name] for name in names if name in ends])

    def wait(condition: Callable[[], bool], *_: object) -> None:
        assert condition()

    monkeypatch.setattr(cluster, "delete_links", delete)
    monkeypatch.setattr(cluster, "wait_until", wait)
    monkeypatch.setattr("socket.if_nameindex", lambda: list(enumerate(left)))
    made._remove_links()
    assert not left


def test_a_bridge_is_taken_apart_port_by_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each port closes in a transaction of its own, between which other bridges go on."""
    asked: list[tuple[str, ...]] = []

    def vsctl(*words: str) -> str:
        asked.append(words)
        return "p1\np2\n" if words[0] == "list-ports" else ""

    monkeypatch.setattr(ovs, "vsctl", vsctl)
    ovs.take_apart("s1")
    assert asked[1:3] == [("del-port", "s1", "p1"), ("del-port", "s1", "p2")]
    assert asked[3:] == [("--", "--if-exists", "del-br", "s1")]
