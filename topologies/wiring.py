"""Sets up the interfaces of a run: addresses, rates in both directions, one frame a packet."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyroute2 import IPRoute

from reserve_agent.controller.rules.shed import DEFERRED_DSCP
from reserve_agent.errors import CrunchbedError, MissingRequirement
from reserve_agent.netns import network_namespace_of
from topologies.layout import PREFIX_LENGTH
from topologies.links import silence_ipv6
from topologies.node import ClusterNode
from topologies.offloads import switch_offloads_off

BURST_BYTES = 16 * 1024
# A sender's own TCP stops feeding its interface long before this (TCP small queues).
_NODE_QUEUE_BYTES = 512 * 1024
# More than what a few initiators have in flight together (16 requests of 16 KiB each): a queue
# that overflows would cost them TCP retransmission timeouts of 0.2 s and more without any crunch.
SWITCH_QUEUE_BYTES = 2 * 1024 * 1024
# Half of the send buffer that all ports of Open vSwitch's userspace datapath share.
SHARED_QUEUE_BYTES = 64 * 1024
# Limit of the packets in a netem queue: at 200 Mbit/s, packets of 64 bytes for 0.1 s.
_DELAYED_PACKETS = 40_000

_NORMAL, _DEFERRED, _PORT = "1:1", "1:2", "1:9"
_FIRST_BITS = 0xFC
_FRAME_BYTES = 1600
DEFERRED_BYTES = 256 * 1024
"""How many bytes may wait in this queue of a port: 2 s at 1 Mbit/s. Waiting packets hold memory
that all ports of a userspace datapath share, and small packets hold ten times their size."""

_LOOPBACK = 1  # index of lo in every namespace
_THREADS = 4
_NEIGHBOUR_LIMITS = Path("/proc/sys/net/ipv4/neigh/default")


def run_tc(lines: Iterable[str]) -> None:
    """Execute lines of tc's batch language, or raise CrunchbedError."""
    text = "".join(f"{line}\n" for line in lines)
    command = ["tc", "-batch", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise CrunchbedError(f"tc refused: {reason}")


def shape_ports(rates: Mapping[str, float], queue: int) -> None:
    """Shape what ports send: a token bucket, beside which clsact with the hooks can exist.

    Ports of a switch are attached already: attaching a port removes its qdisc.

    Args:
        rates: by port of the caller's namespace, 10**6 bits a second.
        queue: bytes that may wait at each port.
    """
    run_tc(
        f"qdisc replace dev {port} root handle 1: tbf"
        f" rate {rate}mbit burst {BURST_BYTES} limit {queue}"
        for port, rate in rates.items()
    )


def shape_node(interfaces: Iterable[str], rate_mbit: float) -> None:
    """Shape what a node's interfaces send, 10**6 bits a second each, one frame a packet."""
    for interface in interfaces:
        switch_offloads_off(interface)
    shape_ports(dict.fromkeys(interfaces, rate_mbit), _NODE_QUEUE_BYTES)


def shape_with_deferral(rates: Mapping[str, float], queue: int, deferred_kbit: int) -> None:
    """Shape what switch ports send, and give packets that the controller marks a lower rate.

    OpenFlow's own queues do nothing on Open vSwitch's userspace datapath: there a packet reaches
    the port without the queue that its flow had set. The packet itself reaches the port on every
    datapath. So the controller marks the traffic class field of the packet (``shed: queue``), and a
    filter here reads that field. The class for packets without a mark has the same name as that of
    a plain shaper, so that the fault ``delay`` finds it. Marked packets are lost only when
    ``DEFERRED_BYTES`` wait already.

    Args:
        rates: by port, named as in the root namespace, 10**6 bits a second.
        queue: bytes of packets without a mark that may wait at each port.
        deferred_kbit: rate of the marked packets, 1000 bits a second.

    Raises:
        CrunchbedError: the kernel refused; it may lack HTB or u32.
    """
    run_tc(
        line
        for port, rate in rates.items()
        for line in _deferring(port, rate, queue, deferred_kbit)
    )


def _deferring(port: str, rate: float, queue: int, deferred_kbit: int) -> Iterator[str]:
    burst = f"burst {BURST_BYTES} cburst {BURST_BYTES} quantum {_FRAME_BYTES}"
    whole = f"rate {rate}mbit ceil {rate}mbit {burst}"
    part = f"rate {deferred_kbit}kbit ceil {deferred_kbit}kbit"
    least = f"burst {_FRAME_BYTES} cburst {_FRAME_BYTES} quantum {_FRAME_BYTES}"
    mark = f"{DEFERRED_DSCP << 2:#x} {_FIRST_BITS:#x}"
    yield f"qdisc replace dev {port} root handle 1: htb default 1"
    yield f"class add dev {port} parent 1: classid {_PORT} htb {whole}"
    yield f"class add dev {port} parent {_PORT} classid {_NORMAL} htb {whole} prio 0"
    yield f"class add dev {port} parent {_PORT} classid {_DEFERRED} htb {part} {least} prio 7"
    yield f"qdisc add dev {port} parent {_NORMAL} bfifo limit {queue}"
    yield f"qdisc add dev {port} parent {_DEFERRED} bfifo limit {DEFERRED_BYTES}"
    for priority, protocol, field in ((1, "ip", "ip dsfield"), (2, "ipv6", "ip6 priority")):
        yield (
            f"filter add dev {port} parent 1: protocol {protocol} prio {priority}"
            f" u32 match {field} {mark} flowid {_DEFERRED}"
        )


def _wire_node(node: ClusterNode, rate_mbit: float) -> None:
    """Shape a node's interfaces, give them their addresses, and bring them up."""
    with network_namespace_of(node.pid), IPRoute() as netlink:
        shape_node(node.interfaces, rate_mbit)
        netlink.link("set", index=_LOOPBACK, state="up")
        for link in node.links:
            index = socket.if_nametoindex(link.interface)
            netlink.addr("add", index=index, address=link.ip, prefixlen=PREFIX_LENGTH)
            netlink.link("set", index=index, state="up")


def wire_nodes(rates: Iterable[tuple[ClusterNode, float]]) -> None:
    """Set up the interfaces of nodes, each with its rate in Mbit/s; they exist and are down.

    Raises CrunchbedError where the kernel or ``tc`` refuses.
    """
    # Threads help because most of the time is spent waiting for tc.
    with ThreadPoolExecutor(_THREADS) as pool:
        for done in [pool.submit(_wire_node, *one) for one in rates]:
            done.result()


def bring_up(ports: Iterable[str]) -> None:
    """Bring a switch's ports up, after switching off the root namespace's IPv6 on them."""
    with IPRoute() as netlink:
        for port in ports:
            silence_ipv6(port)
            netlink.link("set", ifname=port, state="up")


def delay_port(port: str, delay_ns: int) -> None:
    """Delay every packet that a shaped switch port sends by ``delay_ns``.

    Netem becomes the leaf of the port's token bucket, so that the rate stays the same. Raises
    CrunchbedError where this kernel has no netem.
    """
    run_tc([_netem(port, delay_ns, 0)])


def undelay_port(port: str) -> None:
    """Undo ``delay_port``; raises CrunchbedError where the port has no delay."""
    run_tc([f"qdisc del dev {port} parent 1:1 handle 10:"])


def _netem(port: str, delay_ns: int, loss: float) -> str:
    return (
        f"qdisc replace dev {port} parent 1:1 handle 10: netem delay {delay_ns // 1000}us"
        f" loss {100 * loss:g}% limit {_DELAYED_PACKETS}"
    )


def impair(ports: Iterable[str], delay_ns: int, loss: float) -> None:
    """Let shaped switch ports delay all packets that they send, and lose a share (0 to 1).

    Raises MissingRequirement where this kernel has no netem.
    """
    try:
        run_tc(_netem(port, delay_ns, loss) for port in ports)
    except CrunchbedError as error:
        raise MissingRequirement(
            f"links with delay or loss need netem: modprobe sch_netem ({error})"
        ) from error


def make_room_for_neighbours(hosts: int) -> None:
    """Raise the kernel's limit of ARP entries if every host knowing every other would exceed it.

    All namespaces of the machine share one limit (by default 512, soft); it stays raised.
    """
    entries = 2 * hosts * hosts
    for name, needed in (("gc_thresh3", 2 * entries), ("gc_thresh2", entries)):
        limit = _NEIGHBOUR_LIMITS / name
        if not limit.exists():
            return  # only the machine's first network namespace shows the limit and may raise it
        if int(limit.read_text()) < needed:
            limit.write_text(str(needed))
