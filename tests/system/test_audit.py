"""The audit on real packets and sockets: what it names, and what ``enforce`` refuses."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from crunchbed.host.run_ids import STATE_ROOT, RunRecord
from crunchbed.live.audit import Facts, audit_node
from nodes.process import spawn
from nodes.waiting import wait_until
from reserve_agent.contract.packets import Hook, PacketClass, Policy, Reason
from reserve_agent.hooks import audit
from reserve_agent.netns import network_namespace_of
from reserve_agent.socket_options import set_memalloc
from tests.system import frames
from tests.system.test_hooks import HEARTBEAT_PORT, OTHER_PORT, SETTINGS
from tests.system.wire import NODE, Wire, wire

pytestmark = pytest.mark.root
UNKNOWN = 0x88B5  # IEEE: for local experiments
STRANGERS = {
    "OSPF (protocol 89)": frames.frame(frames.IP, frames.ipv4(89, bytes(50))),
    "IPv6 OSPF (protocol 89)": frames.frame(frames.IPV6, frames.ipv6(89, bytes(50))),
    "EtherType 0x88b5": frames.frame(UNKNOWN, bytes(50)),
}
REFUSED = (Hook.RECEIVE, PacketClass.OTHER, Reason.NOT_VM_AWARE)
HOLDER = """
import socket, time
from reserve_agent.socket_options import set_memalloc
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
made.bind(("0.0.0.0", 4242))
set_memalloc(made)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def cable() -> Iterator[Wire]:
    with wire(SETTINGS) as made:
        yield made


def send_raw(cable: Wire, *sent: bytes) -> None:
    with network_namespace_of(cable.peer):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with raw:
            raw.bind(("eth0", 0))
            for each in sent:
                raw.send(each)


def seen(cable: Wire) -> dict[str, tuple[bool, int]]:
    return {one.name: (one.vm_aware, one.packets) for one in audit.protocols(cable.hooks)}


def test_protocols_that_are_not_vm_aware_are_named(cable: Wire) -> None:
    send_raw(cable, *STRANGERS.values(), STRANGERS["OSPF (protocol 89)"])
    wait_until(lambda: seen(cable).get("EtherType 0x88b5") == (False, 1), 2, "the frame is counted")
    assert seen(cable)["OSPF (protocol 89)"] == (False, 2)
    assert seen(cable)["IPv6 OSPF (protocol 89)"] == (False, 1)
    assert REFUSED not in cable.hooks.counters(), "no pressure, not enforced"


@pytest.mark.parametrize("policy", [Policy.NONE, Policy.MEMALLOC])
def test_enforced_they_are_dropped_and_counted_without_pressure(
    cable: Wire, policy: Policy
) -> None:
    cable.hooks.configure(replace(SETTINGS, policy=policy, enforce=True))
    free = int(cable.hooks.pool.free)
    send_raw(cable, *STRANGERS.values())
    wait_until(lambda: "EtherType 0x88b5" in seen(cable), 2, "the last frame is counted")
    assert cable.hooks.counters()[REFUSED] == (3, 3)
    # A stray one of the kernel's own, such as ARP, may be on its way.
    assert free - int(cable.hooks.pool.free) < 3, "their pages went back at once"
    with cable.node_socket(socket.SOCK_DGRAM) as node, cable.peer_socket(socket.SOCK_DGRAM) as peer:
        node.bind((NODE, OTHER_PORT))
        fragmented = bytes(4000)  # a later fragment is UDP all the same
        peer.sendto(fragmented, (NODE, OTHER_PORT))
        assert node.recv(5000) == fragmented
    assert cable.hooks.counters()[REFUSED] == (3, 3)


def test_a_memalloc_socket_made_by_hand_is_not_throttled(cable: Wire) -> None:
    with (
        cable.node_socket(socket.SOCK_DGRAM) as flagged,
        cable.node_socket(socket.SOCK_DGRAM) as plain,
    ):
        flagged.bind((NODE, HEARTBEAT_PORT))
        plain.bind((NODE, OTHER_PORT))
        set_memalloc(flagged)
        sockets = audit.sockets(cable.hooks, SETTINGS.rules)
        inode = os.fstat(flagged.fileno()).st_ino
        assert [(one.inode, one.local_port, one.cls) for one in sockets] == [
            (inode, HEARTBEAT_PORT, "heartbeat")
        ]
        facts = Facts(("eth0",), Policy.MEMALLOC, False, 1, (), tuple(sockets), ())
        assert [one.kind for one in audit_node("n1", facts, {}).findings] == ["not_throttled"]
    assert audit.sockets(cable.hooks, SETTINGS.rules) == [], "a closed one is gone"


def _record_of(pid: int) -> RunRecord | None:
    records = map(RunRecord.read, STATE_ROOT.iterdir())
    return next((one for one in records if one is not None and one.owner.pid == pid), None)


def test_a_live_run_and_an_intruder_in_it(tmp_path: Path) -> None:
    """One audit keeps a cluster up; another, of live runs, finds what was put into it."""
    command = [sys.executable, "-m", "crunchbed", "audit"]
    with ExitStack() as stack:
        run = stack.enter_context(
            subprocess.Popen(
                [*command, "control", "--seconds", "10", "--json"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        assert run.stderr is not None
        while b"observe" not in (line := run.stderr.readline()):
            assert line, "it ended early"
        record = _record_of(run.pid)
        assert record is not None
        config = orjson.loads((STATE_ROOT / record.id / "n1.agent.json").read_bytes())
        intruder = spawn(
            [sys.executable, "-c", HOLDER],
            name="intruder",
            log=tmp_path / "intruder",
            netns_pid=config["netns_pid"],
            cgroup=Path(config["cgroup"]),
        )
        stack.callback(intruder.kill)
        wait_until(lambda: intruder.last_words() == "ready", 5, "the intruder has its socket")
        live = subprocess.run([*command, "--json"], capture_output=True, check=False)
        intruder.kill()
        assert live.returncode == 1, live.stderr
        runs = {one["run"]: one for one in orjson.loads(live.stdout)["runs"]}
        n1, *others = runs[record.id]["nodes"]
        assert [one["kind"] for one in n1["findings"]] == ["not_throttled"]
        assert f"(pid {intruder.pid})" in n1["findings"][0]["text"]
        assert [one["findings"] for one in others] == [[], []]
        output, _ = run.communicate(timeout=30)
    assert run.returncode == 0
    (own,) = orjson.loads(output)["runs"]
    assert all(node["block_io_packets"] for node in own["nodes"])
    assert not (STATE_ROOT / record.id).exists()
