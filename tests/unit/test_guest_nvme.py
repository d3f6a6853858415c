"""A guest whose disk is reached by NVMe/TCP: the connection, the flag by port, and its writes."""

from __future__ import annotations

import errno
from typing import Any
from uuid import UUID

import pytest

from nodes.guest.config import GuestDisk
from nodes.guest.layout import Kind, Memalloc
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import WriteAcknowledged
from tests.unit.guest_cluster import GuestCluster

PORT = 4420


def cluster(**changes: Any) -> GuestCluster:
    where = {"address": "10.0.0.99", "port": PORT, "first_block": 0, "region_blocks": 4096}
    return GuestCluster(2, disk=GuestDisk(**where, nvme=True), **changes)  # type: ignore[arg-type]


def test_it_connects_to_the_subsystem_as_its_own_host_and_writes() -> None:
    made = cluster()
    made.boot()
    (other,) = made.nodes["n1"].guest.nvmes
    node = made.nodes["n2"]
    (told,) = node.guest.nvmes
    assert bytes(told.address) == bytes((10, 0, 0, 99))
    assert bytes(told.port) == PORT.to_bytes(2, "big")
    assert told.subsystem == b"nqn.2026-11.invalid.crunchbed:disk"
    assert str(UUID(told.host.decode())).encode() == told.host != other.host
    assert "initiator" in {event.name for event in node.of(DaemonReady)}
    assert {event.transport for event in node.of(WriteAcknowledged)} == {"nvme-tcp"}
    assert not {Kind.CONNECT, Kind.LOGIN} & set(node.guest.commands)


@pytest.mark.parametrize(
    ("policy", "classes", "value"),
    [
        ("none", ("block-io", "heartbeat"), Memalloc.OFF),
        ("memalloc", ("heartbeat",), Memalloc.OFF),
        ("memalloc", ("block-io",), Memalloc.ON),
    ],
)
def test_the_kernel_s_sockets_follow_the_policy_before_they_are_there(
    policy: str, classes: tuple[str, ...], value: Memalloc
) -> None:
    made = cluster(policy=policy, memalloc=classes)
    made.boot()
    guest = made.nodes["n1"].guest
    assert guest.ports == {PORT: value}
    assert guest.commands.index(Kind.FLAG_PORT) < guest.commands.index(Kind.NVME)


def test_a_connection_that_is_refused_is_tried_again() -> None:
    made = cluster()
    guest = made.nodes["n1"].guest
    guest.refuses[Kind.NVME] = errno.ECONNREFUSED
    made.boot()
    assert len(guest.nvmes) > 1
    guest.refuses.clear()
    made.run(300)
    assert "initiator" in {event.name for event in made.nodes["n1"].of(DaemonReady)}
