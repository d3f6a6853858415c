"""The hooks on real packets: who is served from the reserve, who is not, and who may ask."""

from __future__ import annotations

import errno
import multiprocessing
import os
import socket
import time
from collections.abc import Iterator

import pytest

from nodes.waiting import wait_until
from reserve_agent.contract.packets import (
    SO_MEMALLOC,
    SOCK_MEMALLOC,
    SOCK_WRITEBACK,
    Hook,
    PacketClass,
    Policy,
    PortRule,
    Reason,
)
from reserve_agent.hooks.loader import HookSettings
from reserve_agent.hooks.profile import constants_of
from reserve_agent.model.profiles import CARDS, LINUX_6_1
from reserve_agent.socket_options import set_memalloc, set_stalled
from tests.system.wire import NODE, PEER, Wire, get_memalloc, wire

pytestmark = pytest.mark.root
BLOCK_PORT, HEARTBEAT_PORT, OTHER_PORT = 10809, 7405, 9000
SETTINGS = HookSettings(
    Policy.MEMALLOC,
    rules=(
        PortRule(BLOCK_PORT, 6, PacketClass.BLOCK_IO, SOCK_WRITEBACK | SOCK_MEMALLOC),
        PortRule(HEARTBEAT_PORT, 17, PacketClass.HEARTBEAT),
    ),
)


@pytest.fixture
def cable() -> Iterator[Wire]:
    with wire(SETTINGS) as made:
        yield made


def _receives(receiver: socket.socket, sender: socket.socket, port: int) -> bool:
    """Whether a datagram from the peer reaches the node's socket."""
    word = os.urandom(16)
    sender.sendto(word, (NODE, port))
    receiver.settimeout(0.3)
    try:
        return receiver.recv(100) == word
    except TimeoutError:
        return False


def test_udp_without_the_flag_is_refused_from_the_reserve(cable: Wire) -> None:
    with cable.node_socket(socket.SOCK_DGRAM) as node, cable.peer_socket(socket.SOCK_DGRAM) as peer:
        node.bind((NODE, HEARTBEAT_PORT))
        assert _receives(node, peer, HEARTBEAT_PORT), "no pressure, no refusal"
        with cable.pressure():
            assert not _receives(node, peer, HEARTBEAT_PORT)
            set_memalloc(node)
            assert _receives(node, peer, HEARTBEAT_PORT), "served with the flag"
        assert _receives(node, peer, HEARTBEAT_PORT)
    counted = cable.hooks.counters()
    key = (Hook.DELIVER, PacketClass.HEARTBEAT, Reason.NOT_MEMALLOC)
    assert counted[key] == (1, 1)
    assert counted[Hook.DELIVER, PacketClass.HEARTBEAT, Reason.FROM_RESERVE] == (1, 1)


def test_far_from_r_packets_are_counted_and_take_no_page_until_a_reader_keeps_them(
    cable: Wire,
) -> None:
    pool = cable.hooks.pool
    with (
        cable.node_socket(socket.SOCK_DGRAM) as node,
        cable.node_socket(socket.SOCK_DGRAM) as keeper,
        cable.peer_socket(socket.SOCK_DGRAM) as peer,
    ):
        node.bind((NODE, HEARTBEAT_PORT))
        before = (int(pool.free), int(pool.low_water))
        assert before[0] > pool.border
        assert all(_receives(node, peer, HEARTBEAT_PORT) for _ in range(20))
        assert (int(pool.free), int(pool.low_water)) == before
        counted = cable.hooks.counters()
        for hook in (Hook.RECEIVE, Hook.DELIVER):
            assert counted[hook, PacketClass.HEARTBEAT, Reason.GRANTED] == (20, 20)
        set_stalled(keeper)
        assert int(pool.keepers) == 1
        assert _receives(node, peer, HEARTBEAT_PORT)
        assert int(pool.running.pages) > 0
    assert int(pool.low_water) < before[1]


def test_policy_none_serves_anyone_down_to_half_the_reserve(cable: Wire) -> None:
    cable.set_policy(Policy.NONE)
    reserve = int(cable.hooks.pool.reserve)
    with cable.node_socket(socket.SOCK_DGRAM) as node, cable.peer_socket(socket.SOCK_DGRAM) as peer:
        node.bind((NODE, HEARTBEAT_PORT))
        with cable.pressure():
            assert _receives(node, peer, HEARTBEAT_PORT), "GFP_ATOMIC may take half of it"
        with cable.pressure(reserve // 2):
            assert not _receives(node, peer, HEARTBEAT_PORT)
    key = (Hook.RECEIVE, PacketClass.HEARTBEAT, Reason.ALLOC_FAILED)
    assert cable.hooks.counters()[key] == (1, 1)


def test_tcp_marked_by_rule_is_served_and_its_neighbour_is_not(cable: Wire) -> None:
    """The node connects out: to the block port (marked), to another (not)."""
    pairs = {}
    for port in (BLOCK_PORT, OTHER_PORT):
        with cable.peer_socket(socket.SOCK_STREAM) as listener:
            listener.bind((PEER, port))
            listener.listen()
            node = cable.node_socket(socket.SOCK_STREAM)
            node.connect((PEER, port))
            pairs[port] = (node, listener.accept()[0])
    assert get_memalloc(pairs[BLOCK_PORT][0])
    assert not get_memalloc(pairs[OTHER_PORT][0])
    with cable.pressure():
        for port, served in ((BLOCK_PORT, True), (OTHER_PORT, False)):
            node, peer = pairs[port]
            peer.send(b"acknowledged")
            node.settimeout(0.3)
            try:
                assert (node.recv(100) == b"acknowledged") == served
            except TimeoutError:
                assert not served
    node, _ = pairs[OTHER_PORT]
    node.settimeout(3.0)
    assert node.recv(100) == b"acknowledged", "TCP repeats it once there is memory"
    for pair in pairs.values():
        for end in pair:
            end.close()


def test_the_flag_is_cloned_to_accepted_sockets(cable: Wire) -> None:
    with cable.node_socket(socket.SOCK_STREAM) as listener:
        listener.bind((NODE, OTHER_PORT))
        listener.listen()
        set_memalloc(listener)
        with cable.peer_socket(socket.SOCK_STREAM) as peer:
            peer.connect((NODE, OTHER_PORT))
            accepted, _ = listener.accept()
            with accepted, cable.pressure():
                assert get_memalloc(accepted)
                peer.send(b"x")
                assert accepted.recv(1) == b"x"


def test_the_flag_can_be_taken_back(cable: Wire) -> None:
    with cable.node_socket(socket.SOCK_DGRAM) as node:
        set_memalloc(node)
        assert get_memalloc(node)
        node.setsockopt(socket.SOL_SOCKET, SO_MEMALLOC, 0)
        assert not get_memalloc(node)


def _ask_unprivileged(node: socket.socket, answers: multiprocessing.Queue[int]) -> None:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    try:
        set_memalloc(node)
        answers.put(0)
    except OSError as error:
        answers.put(error.errno or -1)


def test_an_unprivileged_caller_gets_eperm(cable: Wire) -> None:
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[int] = context.Queue()
    with cable.node_socket(socket.SOCK_DGRAM) as node:
        child = context.Process(target=_ask_unprivileged, args=(node, answers))
        child.start()
        assert answers.get(timeout=10) == errno.EPERM
        child.join(10)
        assert not get_memalloc(node)


def test_counters_agree_with_the_interface_to_the_packet(cable: Wire) -> None:
    """Granted and dropped alike pass tc ingress; at egress the interface counts what passed."""
    received_before, sent_before = cable.interface_packets()
    hooks_before = _totals(cable)
    with cable.peer_socket(socket.SOCK_STREAM) as listener:
        listener.bind((PEER, BLOCK_PORT))
        listener.listen()
        with cable.node_socket(socket.SOCK_STREAM) as node:
            node.connect((PEER, BLOCK_PORT))
            peer, _ = listener.accept()
            with peer:
                for _ in range(200):
                    node.sendall(bytes(16384))
                    left = 16384
                    while left:
                        left -= len(peer.recv(left))
                    peer.sendall(b"ok")
                    node.recv(2)
                with cable.pressure(), cable.peer_socket(socket.SOCK_DGRAM) as other:
                    for _ in range(500):
                        other.sendto(b"other", (NODE, OTHER_PORT))

    def settled() -> bool:
        received, sent = cable.interface_packets()
        hooks = _totals(cable)
        return (received - received_before, sent - sent_before) == (
            hooks[0] - hooks_before[0],
            hooks[1] - hooks_before[1],
        )

    wait_until(settled, 3.0, "hooks and interface count the same")
    assert cable.interface_packets()[0] - received_before > 800


def _totals(cable: Wire) -> tuple[int, int]:
    """(seen at tc ingress, passed at tc egress)."""
    rows = cable.hooks.counters()
    seen = sum(count for (hook, _, _), (count, _) in rows.items() if hook is Hook.RECEIVE)
    passed = sum(
        count
        for (hook, _, reason), (count, _) in rows.items()
        if hook is Hook.TRANSMIT and reason.passed
    )
    return seen, passed


def test_an_unflagged_sender_stalls_at_the_mark(cable: Wire) -> None:
    with cable.node_socket(socket.SOCK_DGRAM) as node, cable.peer_socket(socket.SOCK_DGRAM) as peer:
        node.bind((NODE, HEARTBEAT_PORT))
        peer.bind((PEER, HEARTBEAT_PORT))
        peer.settimeout(0.3)
        with cable.pressure():
            node.sendto(b"stalled", (PEER, HEARTBEAT_PORT))
            with pytest.raises(TimeoutError):
                peer.recv(100)
            set_memalloc(node)
            node.sendto(b"sent", (PEER, HEARTBEAT_PORT))
            assert peer.recv(100) == b"sent"
    key = (Hook.TRANSMIT, PacketClass.HEARTBEAT, Reason.TX_STALLED)
    assert cable.hooks.counters()[key][0] == 1


def test_a_write_queue_is_held_whole_and_given_back_at_the_end(cable: Wire) -> None:
    """Also what the peer's small window keeps from being sent."""
    with cable.peer_socket(socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind((PEER, BLOCK_PORT))
        listener.listen()
        node = cable.node_socket(socket.SOCK_STREAM)
        node.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        node.connect((PEER, BLOCK_PORT))
        peer, _ = listener.accept()
        with cable.pressure(0):
            time.sleep(0.01)  # let the handshake's buffers go
        with peer, cable.pressure(64):
            node.send(bytes(131072))
            peer.recv(65536)  # a segment goes out, and the rest is seen to wait behind it
            wait_until(lambda: cable.hooks.pool.tx >= 24, 2.0, "the queue is accounted for")
            node.close()
            assert int(cable.hooks.pool.tx) == 0
    state = cable.pool.snapshot()
    parts = ("free", "clean", "dirty", "squeezed", "rx_running", "rx_stalled", "tx", "hoarded")
    assert sum(state[name] for name in parts) == state["total"]


def test_flagged_sockets_are_counted_as_a_kernel_does(cable: Wire) -> None:
    """Once each, whoever flags them; an accepted one is not, and one that closes stays."""
    pool = cable.hooks.pool
    with cable.node_socket(socket.SOCK_STREAM) as listener:
        listener.bind((NODE, OTHER_PORT))
        listener.listen()
        set_memalloc(listener)
        set_memalloc(listener)
        assert pool.flagged == 1
        with cable.peer_socket(socket.SOCK_STREAM) as peer:
            peer.connect((NODE, OTHER_PORT))
            accepted = listener.accept()[0]
            assert get_memalloc(accepted)
            accepted.close()
        assert pool.flagged == 1
        listener.setsockopt(socket.SOL_SOCKET, SO_MEMALLOC, 0)
        listener.setsockopt(socket.SOL_SOCKET, SO_MEMALLOC, 0)
        assert pool.flagged == 0
    with cable.peer_socket(socket.SOCK_STREAM) as peer:
        peer.bind((PEER, BLOCK_PORT))
        peer.listen()
        with cable.node_socket(socket.SOCK_STREAM) as node:
            node.connect((PEER, BLOCK_PORT))
            assert pool.flagged == 1, "by a rule"
        assert pool.flagged == 1, "nobody takes a closed one off"


def test_a_kernel_opens_its_reserve_with_the_first_flagged_socket() -> None:
    """8139cp asks for a fresh buffer for each packet: without a flag there is none."""
    with (
        wire(SETTINGS, fixed=constants_of(LINUX_6_1, CARDS["8139cp"])) as cable,
        cable.node_socket(socket.SOCK_DGRAM) as node,
        cable.peer_socket(socket.SOCK_DGRAM) as peer,
    ):
        node.bind((NODE, HEARTBEAT_PORT))
        assert _receives(node, peer, HEARTBEAT_PORT)
        with cable.pressure(int(cable.hooks.pool.reserve) // 4):
            heard = [_receives(node, peer, HEARTBEAT_PORT) for _ in range(8)]
            assert not any(heard[-2:]), "what was cut before is used up"
            set_memalloc(node)
            assert all(_receives(node, peer, HEARTBEAT_PORT) for _ in range(3))
