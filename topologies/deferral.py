"""A queue at a switch port for the packets that the controller marks with ``shed: queue``.

OpenFlow's own queues do nothing on Open vSwitch's userspace datapath: there a packet reaches the
port without the queue that its flow had set. The packet itself reaches the port on every datapath.
So the controller marks the traffic class field of the packet, and a filter here reads that field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reserve_agent.controller.rules.shed import DEFERRED_DSCP
from topologies.wiring import BURST_BYTES, run_tc

_NORMAL, _DEFERRED, _PORT = "1:1", "1:2", "1:9"
_FIRST_BITS = 0xFC
_FRAME_BYTES = 1600
DEFERRED_BYTES = 256 * 1024
"""How many bytes may wait in this queue of a port: 2 s at 1 Mbit/s. Waiting packets hold memory
that all ports of a userspace datapath share, and small packets hold ten times their size."""


def shape_with_deferral(rates: Mapping[str, float], queue: int, deferred_kbit: int) -> None:
    """Shape what switch ports send, and give marked packets a lower rate of their own.

    The class for packets without a mark has the same name as that of a plain shaper, so that the
    fault ``delay`` finds it. Marked packets are lost only when ``DEFERRED_BYTES`` wait already.

    Args:
        rates: by port, named as in the root namespace, 10**6 bits a second.
        queue: bytes of packets without a mark that may wait at each port.
        deferred_kbit: rate of the marked packets, 1000 bits a second.

    Raises:
        CrunchbedError: the kernel refused; it may lack HTB or u32.
    """
    run_tc(
        f"{line}\n"
        for port, rate in rates.items()
        for line in _shaper(port, rate, queue, deferred_kbit)
    )


def _shaper(port: str, rate: float, queue: int, deferred_kbit: int) -> Iterator[str]:
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
