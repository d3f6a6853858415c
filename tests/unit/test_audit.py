"""What an audit concludes, and how protocols and sockets get their names."""

from __future__ import annotations

import ctypes
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from crunchbed.cli import app
from crunchbed.live import runs
from crunchbed.live.audit import AuditedNode, Facts, User, audit_node
from crunchbed.live.gather import audit_live_runs
from reserve_agent.contract.packets import SOCK_MEMALLOC, PacketClass, Policy, PortRule
from reserve_agent.hooks import audit
from reserve_agent.hooks.audit import SocketSeen
from reserve_agent.hooks.layout import Protocols, SocketRecord
from reserve_agent.sizing import Throttled

BLOCK, BEAT = 10809, 7405
RULES = (PortRule(BLOCK, 6, PacketClass.BLOCK_IO), PortRule(BEAT, 17, PacketClass.HEARTBEAT))
DISK = SocketSeen(
    *("tcp", "block-io", "10.0.0.1", 40000, "10.0.0.254", BLOCK),
    memalloc=True,
    writeback=True,
    inode=1,
    write_queue_bytes=0,
    pool_pages=0,
    reserve_pages=0,
)
BEATS = replace(
    DISK, protocol="udp", cls="heartbeat", local_port=BEAT, remote="::", remote_port=0, inode=2
)
STRANGER = replace(BEATS, cls="other", local_port=4242, inode=3)
USERS = {
    1: User(11, "n1 initiator", "initiator"),
    2: User(12, "n1 heartbeat", "heartbeat"),
    3: User(13, "python3"),
}
FACTS = Facts(
    interfaces=("eth0",),
    policy=Policy.MEMALLOC,
    enforce=False,
    block_io_packets=5,
    protocols=(audit.ip_protocol(audit.IPV4, 6, 5), audit.ether_protocol(audit.ARP, 1)),
    sockets=(DISK, BEATS),
    throttled=(
        Throttled("block I/O", 16, 16412, 82),
        Throttled("heartbeats", 2, 90, 90, streamed=False),
    ),
)
OSPF = audit.ip_protocol(audit.IPV4, 89, 3)


def judged(facts: Facts) -> AuditedNode:
    return audit_node("n1", facts, USERS)


def found(facts: Facts) -> list[tuple[str, str]]:
    return [(one.severity, one.kind) for one in judged(facts).findings]


def test_a_node_as_the_run_makes_it_has_no_finding() -> None:
    node = judged(FACTS)
    assert node.findings == ()
    assert [one.bound for one in node.sockets] == ["16 x 16412 bytes", "2 datagrams an interval"]


@pytest.mark.parametrize(
    ("policy", "severity"),
    [
        (Policy.NONE, "warning"),
        (Policy.SOFTNET, "error"),
        (Policy.MEMALLOC, "error"),
        (Policy.MEMPOOL, "warning"),
        (Policy.CRITICAL, "error"),
    ],
)
def test_a_memalloc_socket_of_anybody_else_is_not_throttled(policy: Policy, severity: str) -> None:
    facts = replace(FACTS, policy=policy, sockets=(DISK, BEATS, STRANGER))
    assert found(facts) == [(severity, "not_throttled")]
    assert "udp 10.0.0.1:4242 of python3 (pid 13)" in judged(facts).findings[0].text
    unflagged = replace(STRANGER, memalloc=False)
    assert found(replace(facts, sockets=(DISK, BEATS, unflagged))) == []


def test_the_bound_of_a_daemon_is_not_that_of_others_on_its_port() -> None:
    intruder = replace(DISK, inode=3)
    assert found(replace(FACTS, sockets=(intruder,))) == [("error", "not_throttled")]
    elsewhere = replace(DISK, cls="other", remote_port=80)
    assert found(replace(FACTS, sockets=(elsewhere,))) == [("error", "not_throttled")]
    assert found(replace(FACTS, throttled=())) == [("error", "not_throttled")] * 2


def test_block_io_that_is_not_memalloc_is_found_where_the_flag_counts() -> None:
    facts = replace(FACTS, sockets=(replace(DISK, memalloc=False),))
    for policy in Policy:
        expected = [] if policy is Policy.NONE else [("error", "not_memalloc")]
        assert found(replace(facts, policy=policy)) == expected


def test_a_protocol_that_is_not_vm_aware_is_found_beside_block_io_only() -> None:
    facts = replace(FACTS, protocols=(*FACTS.protocols, OSPF))
    assert found(facts) == [("warning", "not_vm_aware")]
    assert "OSPF (protocol 89) is in use on eth0" in judged(facts).findings[0].text
    assert found(replace(facts, block_io_packets=0)) == []
    assert found(replace(facts, enforce=True)) == [], "refused, so no danger to the reserve"


def test_errors_come_first() -> None:
    facts = replace(FACTS, protocols=(OSPF,), sockets=(STRANGER,))
    assert [severity for severity, _ in found(facts)] == ["error", "warning"]


def test_protocols_are_named_and_counted_over_processors() -> None:
    one, two = Protocols(), Protocols()
    one.ipv4[6], two.ipv4[6] = 1000, 2
    one.ipv6[17], two.ipv6[58], two.ipv4[89], one.ipv6[200] = 500, 400, 300, 200
    one.others[0].type, one.others[0].packets = 0x88B5, 90
    two.others[0].type, two.others[0].packets = 0x0806, 80
    two.others[1].type, two.others[1].packets = 0x88B5, 1
    one.unnamed, one.ipv4[0] = 7, 5
    seen = audit.merge([one, two])
    assert [(each.name, each.packets, each.vm_aware) for each in seen] == [
        ("TCP", 1002, True),
        ("IPv6 UDP", 500, True),
        ("ICMPv6", 400, True),
        ("OSPF (protocol 89)", 300, False),
        ("IPv6 IP (protocol 200)", 200, False),
        ("EtherType 0x88b5", 91, False),
        ("ARP", 80, True),
        ("more EtherTypes than are told apart", 7, False),
        ("IPv4 without a readable protocol", 5, False),
    ]


def test_sockets_are_decoded_and_classified_and_closed_ones_left_out() -> None:
    records = (SocketRecord * 3)()
    for record in records:
        record.family, record.protocol, record.flags = socket.AF_INET6, 6, SOCK_MEMALLOC
        record.local_port, record.remote_port = 40000, BLOCK
        ctypes.memmove(record.local, socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.1"), 16)
        ctypes.memmove(record.remote, socket.inet_pton(socket.AF_INET6, "fd00::2"), 16)
    records[1].closed = 1
    records[2].protocol = 17
    first, last = audit.decode_sockets(bytes(records), RULES)
    assert (first.protocol, first.cls, first.memalloc) == ("tcp", "block-io", True)
    assert (first.local, first.remote) == ("10.0.0.1", "fd00::2")
    assert (last.protocol, last.cls) == ("udp", "other"), "a rule is for its protocol only"


def test_without_live_runs_there_is_nothing_to_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "STATE_ROOT", tmp_path / "none")
    assert audit_live_runs() == []
    (tmp_path / "none" / "abcd").mkdir(parents=True)
    assert audit_live_runs() == []


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--seconds", "3"], "need a SCENARIO"),
        (["nowhere"], "no scenario 'nowhere'"),
        (["control", "--set", "enforce"], "expected KEY=VALUE"),
        (["control", "--set", "enforce=perhaps"], "enforce: expected true or false"),
        (["control", "--seconds", "0"], "--seconds"),
        (["control", "--backend", "machines"], "cluster.backend: expected namespaces"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["audit", *argv]) == 2
    text = capsys.readouterr().err
    assert words in text
    assert text.count("\n") == 1
