"""A wire that loses packets, by a fault: told from drops for want of memory."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from nodes.waiting import wait_until
from reserve_agent.contract.packets import Hook, PacketClass, Policy, PortRule, Reason
from reserve_agent.errors import HookError
from reserve_agent.hooks.loader import HookSettings
from tests.system.wire import NODE, PEER, Wire, wire

pytestmark = pytest.mark.root
HEARTBEAT_PORT = 7405
SETTINGS = HookSettings(
    Policy.MEMALLOC, rules=(PortRule(HEARTBEAT_PORT, 17, PacketClass.HEARTBEAT),)
)
SENT = 2000


@pytest.fixture
def cable() -> Iterator[Wire]:
    with wire(SETTINGS) as made:
        yield made


def _send(cable: Wire, count: int) -> int:
    """Datagrams to the node's heartbeat port; returns how many were lost on the wire."""
    before = _lost(cable)
    with cable.node_socket(socket.SOCK_DGRAM) as node, cable.peer_socket(socket.SOCK_DGRAM) as peer:
        node.bind((NODE, HEARTBEAT_PORT))
        seen = _seen(cable)
        for _ in range(count):
            peer.sendto(b"heartbeat", (NODE, HEARTBEAT_PORT))
        wait_until(lambda: _seen(cable) - seen >= count, 2.0, "all have arrived or are lost")
    return _lost(cable) - before


def _seen(cable: Wire) -> int:
    rows = cable.hooks.counters()
    wanted = (Hook.RECEIVE, PacketClass.HEARTBEAT)
    return sum(packets for key, (packets, _) in rows.items() if key[:2] == wanted)


def _lost(cable: Wire) -> int:
    key = (Hook.RECEIVE, PacketClass.HEARTBEAT, Reason.LOST)
    return cable.hooks.counters().get(key, (0, 0))[0]


def test_a_share_is_lost_and_takes_no_page(cable: Wire) -> None:
    cable.hooks.lose([(None, 0.25)])
    assert SENT * 0.2 < _send(cable, SENT) < SENT * 0.3
    cable.hooks.lose([])
    assert _send(cable, 100) == 0
    key = (Hook.RECEIVE, PacketClass.HEARTBEAT, Reason.LOST)
    assert cable.hooks.counters()[key][1] == 0


def test_one_sender_is_cut_off_and_nobody_else(cable: Wire) -> None:
    assert _send(cable, 10) == 0
    cable.hooks.lose([("10.255.255.1", 1.0)])
    assert _send(cable, 10) == 0
    cable.hooks.lose([("10.255.255.1", 1.0), (PEER, 1.0)])
    assert _send(cable, 10) == 10


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_share_that_is_none(cable: Wire, share: float) -> None:
    with pytest.raises(HookError, match="expected a share"):
        cable.hooks.lose([(None, share)])


def test_more_losses_than_fit(cable: Wire) -> None:
    with pytest.raises(HookError, match="at most 64"):
        cable.hooks.lose([(None, 1.0)] * 65)
