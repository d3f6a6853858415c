"""Policies on real packets: abuse, live switches, resizing, and protocols that have no socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from nodes.waiting import wait_until
from reserve_agent.contract.packets import Hook, PacketClass, Policy, PortRule, Reason
from reserve_agent.hooks.loader import HookSettings
from reserve_agent.socket_options import set_memalloc, set_stalled
from tests.system import frames
from tests.system.wire import NODE, PEER, Wire, wire

pytestmark = pytest.mark.root
HEARTBEAT_PORT, FLOOD_PORT = 7405, 9001
SETTINGS = HookSettings(
    Policy.MEMALLOC,
    rules=(
        PortRule(HEARTBEAT_PORT, 17, PacketClass.HEARTBEAT),
        PortRule(HEARTBEAT_PORT, 132, PacketClass.HEARTBEAT),
    ),
    mempool_pages=16,
)
MACS = bytes.fromhex("020000000001020000000002")


@pytest.fixture
def cable() -> Iterator[Wire]:
    with wire(SETTINGS) as made:
        yield made


def _conserved(cable: Wire) -> bool:
    state = cable.pool.snapshot()
    parts = ("free", "clean", "dirty", "squeezed", "rx_running", "rx_stalled", "hoarded", "tx")
    return sum(state[name] for name in parts) == state["total"]


def _bound(cable: Wire, port: int) -> socket.socket:
    made = cable.node_socket(socket.SOCK_DGRAM)
    made.bind((NODE, port))
    return made


def _raw(cable: Wire, frame: bytes) -> None:
    """Put a frame on the cable from the peer's end, addressed to the node."""
    sender = cable.peer_socket(socket.SOCK_RAW, socket.AF_PACKET)
    with sender:
        sender.bind(("eth0", 0))
        sender.send(MACS + frame[12:])


def _received(cable: Wire, cls: PacketClass, reason: Reason) -> int:
    return cable.hooks.counters().get((Hook.RECEIVE, cls, reason), (0, 0))[0]


@pytest.mark.parametrize(
    ("policy", "served"), [(Policy.MEMALLOC, False), (Policy.MEMPOOL, True)], ids=str
)
def test_an_unthrottled_memalloc_socket_starves_others_but_not_under_mempool(
    cable: Wire, policy: Policy, served: bool
) -> None:
    cable.set_policy(policy)
    with (
        _bound(cable, HEARTBEAT_PORT) as throttled,
        _bound(cable, FLOOD_PORT) as hoarder,
        cable.peer_socket(socket.SOCK_DGRAM) as peer,
        cable.pressure(),
    ):
        set_memalloc(throttled)
        set_memalloc(hoarder)
        set_stalled(hoarder)
        for _ in range(600):
            peer.sendto(b"flood", (NODE, FLOOD_PORT))
        peer.sendto(b"heartbeat", (NODE, HEARTBEAT_PORT))
        throttled.settimeout(0.3)
        try:
            assert (throttled.recv(100) == b"heartbeat") == served
        except TimeoutError:
            assert not served
        refusal = Reason.POOL_EMPTY if served else Reason.RESERVE_EXHAUSTED
        assert any(reason is refusal for _, _, reason in cable.hooks.counters())
        assert _conserved(cable)
        cable.pool.wake()
        assert int(cable.hooks.pool.hoarded) == 0
    assert _conserved(cable)


def test_policies_switch_live_and_no_page_is_lost(cable: Wire) -> None:
    with (
        _bound(cable, HEARTBEAT_PORT) as node,
        cable.peer_socket(socket.SOCK_DGRAM) as peer,
        cable.pressure(),
    ):
        set_memalloc(node)
        for policy in (*Policy, *reversed(Policy)):
            cable.set_policy(policy)
            for _ in range(50):
                peer.sendto(b"x", (NODE, HEARTBEAT_PORT))
                peer.sendto(b"y", (NODE, FLOOD_PORT))
            assert _conserved(cable)

    def idle() -> bool:
        cable.pool.tick()
        state = cable.pool.snapshot()
        return state["free"] == state["total"] - state["clean"]

    wait_until(idle, 2.0, "every page is back")


def test_a_resize_below_what_is_in_use_is_refused_and_changes_nothing(cable: Wire) -> None:
    before = cable.pool.snapshot()
    assert not cable.pool.resize(before["clean"] - 1, 10)
    assert not cable.pool.resize(before["total"], before["total"])
    after = cable.pool.snapshot()
    assert [after[name] for name in ("total", "reserve", "free")] == [
        before[name] for name in ("total", "reserve", "free")
    ]


def test_sctp_is_classified_by_its_port(cable: Wire) -> None:
    packet = frames.ipv4(frames.SCTP, frames.sctp(40000, HEARTBEAT_PORT, bytes(20)))
    _raw(cable, frames.frame(frames.IP, packet))
    assert _received(cable, PacketClass.HEARTBEAT, Reason.GRANTED) == 1


def test_a_vlan_tag_hides_no_class(cable: Wire) -> None:
    packet = frames.ipv4(frames.UDP, frames.udp(40000, HEARTBEAT_PORT, bytes(20)))
    _raw(cable, frames.frame(frames.IP, packet, vlans=(7,)))
    assert _received(cable, PacketClass.HEARTBEAT, Reason.GRANTED) == 1


def test_a_protocol_without_socket_gets_nothing_from_the_reserve(cable: Wire) -> None:
    with cable.pressure():
        _raw(cable, frames.frame(frames.IP, frames.ipv4(89, bytes(40))))
        assert _received(cable, PacketClass.OTHER, Reason.NOT_VM_AWARE) == 1
        _raw(cable, frames.frame(frames.ARP, bytes(28)))
        assert _received(cable, PacketClass.CONTROL, Reason.FROM_RESERVE) == 1


def test_a_fragmented_datagram_is_whole_without_pressure_and_lost_with_it(cable: Wire) -> None:
    """A later fragment has no port: from the reserve nobody can be charged for it."""
    with _bound(cable, HEARTBEAT_PORT) as node, cable.peer_socket(socket.SOCK_DGRAM) as peer:
        set_memalloc(node)
        peer.bind((PEER, HEARTBEAT_PORT))
        peer.sendto(bytes(3000), (NODE, HEARTBEAT_PORT))
        assert len(node.recv(4000)) == 3000
        with cable.pressure():
            peer.sendto(bytes(3000), (NODE, HEARTBEAT_PORT))
            node.settimeout(0.3)
            with pytest.raises(TimeoutError):
                node.recv(4000)
            assert _received(cable, PacketClass.HEARTBEAT, Reason.FROM_RESERVE) == 1
            assert _received(cable, PacketClass.OTHER, Reason.NOT_VM_AWARE) == 2
        wait_until(lambda: cable.pool.tick() or _conserved(cable), 2.0, "pages conserved")
