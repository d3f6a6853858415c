"""A tap in place of a host's stack: packets pass both ways, shaped, and nothing is left behind."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from nodes.waiting import wait_until
from reserve_agent.netns import network_namespace_of
from topologies.links import VethEnd, make_pair
from topologies.node import ClusterNode, NodeLink
from topologies.tap import know_neighbours, plug_tap, tap_name
from topologies.wiring import wire_nodes

pytestmark = pytest.mark.root

RUN_ID = f"t{os.getpid() % 1000:03d}"
ADDRESS, MAC = "10.77.1.1", "02:00:00:77:00:01"
OTHER, OTHER_MAC = "10.77.1.2", "02:00:00:77:00:02"
SECONDS = 5.0
_SET_INTERFACE = 0x400454CA  # TUNSETIFF
_TAP, _NO_PACKET_INFO = 0x0002, 0x1000
_UDP = 17


@contextmanager
def namespace() -> Iterator[int]:
    """A process in a network namespace of its own."""
    process = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    mine, theirs = Path("/proc/self/ns/net"), Path(f"/proc/{process.pid}/ns/net")
    try:
        wait_until(lambda: theirs.readlink() != mine.readlink(), SECONDS, "a namespace of its own")
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def hosts() -> Iterator[tuple[ClusterNode, ClusterNode]]:
    """Two hosts in namespaces of their own, with a link between them."""
    with namespace() as one, namespace() as other:
        links = (
            NodeLink(f"{RUN_ID}n1-eth0", f"{RUN_ID}n2-eth0", ADDRESS, mac=MAC),
            NodeLink(f"{RUN_ID}n2-eth0", f"{RUN_ID}n1-eth0", OTHER, mac=OTHER_MAC),
        )
        ends = [
            VethEnd(link.interface, link.mac, pid)
            for link, pid in zip(links, (one, other), strict=True)
        ]
        make_pair(*ends)
        nodes = tuple(
            ClusterNode(f"n{index}", f"{RUN_ID}n{index}", end.pid, (link,))
            for index, (end, link) in enumerate(zip(ends, links, strict=True), 1)
        )
        wire_nodes((node, 200.0) for node in nodes)
        yield nodes


@contextmanager
def opened(node: ClusterNode, tap: str) -> Iterator[int]:
    """The tap as QEMU opens it: without offloads and without bytes before the frame."""
    with network_namespace_of(node.pid):
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(
            descriptor, _SET_INTERFACE, struct.pack("16sH22x", tap.encode(), _TAP | _NO_PACKET_INFO)
        )
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def datagram(source: str, target: str, payload: bytes) -> bytes:
    """An Ethernet frame from the machine that has the tap to the other host, port 7405."""
    udp = struct.pack(">HHHH", 7405, 7405, 8 + len(payload), 0) + payload
    header = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(udp),
        0,
        0,
        64,
        _UDP,
        0,
        socket.inet_aton(source),
        socket.inet_aton(target),
    )
    words = struct.unpack(">10H", header)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    header = header[:10] + struct.pack(">H", checksum) + header[12:]
    return mac_bytes(OTHER_MAC) + mac_bytes(MAC) + b"\x08\x00" + header + udp


def frames(descriptor: int) -> Iterator[bytes]:
    while select.select([descriptor], [], [], SECONDS)[0]:
        yield os.read(descriptor, 2000)


def test_packets_pass_both_ways_and_the_namespace_answers_nothing(
    hosts: tuple[ClusterNode, ClusterNode],
) -> None:
    node, other = hosts
    tap = plug_tap(node, node.links[0])
    assert tap == tap_name(node.links[0]) == f"{RUN_ID}n1-tap0"
    know_neighbours(other, other.links[0], {ADDRESS: MAC})
    with opened(node, tap) as descriptor, network_namespace_of(other.pid):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((OTHER, 7405))
            sender.settimeout(SECONDS)
            sender.sendto(b"to the machine", (ADDRESS, 7405))
            heard = next(frame for frame in frames(descriptor) if frame.endswith(b"to the machine"))
            assert heard[:6] == mac_bytes(MAC)
            assert checksum_is_right(heard)
            os.write(descriptor, datagram(ADDRESS, OTHER, b"from the machine"))
            assert sender.recvfrom(100) == (b"from the machine", (ADDRESS, 7405))
        # Whoever has the tap is the host: the namespace itself has no address to answer for.
        assert subprocess.run(["ping", "-c1", "-W1", ADDRESS], capture_output=True).returncode != 0


def checksum_is_right(frame: bytes) -> bool:
    """Whether the sum over a datagram with its pseudo header is what it should be."""
    ip = frame[14:]
    udp = ip[20:]
    pseudo = ip[12:20] + struct.pack(">BBH", 0, _UDP, len(udp))
    data = pseudo + udp + b"\0" * (len(udp) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def test_the_link_stays_shaped_and_the_tap_ends_with_its_namespace(
    hosts: tuple[ClusterNode, ClusterNode],
) -> None:
    node, _ = hosts
    tap = plug_tap(node, node.links[0])
    with network_namespace_of(node.pid):
        shown = subprocess.run(
            ["tc", "qdisc", "show", "dev", node.interface],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "tbf" in shown
        assert "clsact" in shown
        with IPRoute() as netlink:
            assert netlink.get_addr(label=node.interface) == ()
    assert not any(name.startswith(RUN_ID) for _, name in socket.if_nameindex())
    assert not Path(f"/sys/class/net/{tap}").exists()
