"""A guest whose disk is an iSCSI one: the login, the flag by the target's port, and its writes."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from nodes.block.config import IscsiConfig
from nodes.block.transport import TARGET_NAME
from nodes.guest.config import GuestDisk
from nodes.guest.layout import Kind, Memalloc
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import WriteAcknowledged
from tests.unit.guest_cluster import GuestCluster

PORT = 3260
SECOND = 1_000_000_000


def cluster(session: IscsiConfig | None = None, **changes: Any) -> GuestCluster:
    disk = GuestDisk(
        address="10.0.0.99",
        port=PORT,
        first_block=0,
        region_blocks=4096,
        iscsi=session or IscsiConfig(),
    )
    return GuestCluster(2, disk=disk, **changes)


def test_it_logs_in_with_open_iscsi_s_settings_and_writes() -> None:
    made = cluster(IscsiConfig(replacement_timeout=120 * SECOND, chap=("user", "secret4secret")))
    made.boot()
    node = made.nodes["n2"]
    (login,) = node.guest.logins
    assert bytes(login.address) == bytes((10, 0, 0, 99))
    assert bytes(login.port) == PORT.to_bytes(2, "big")
    assert (login.login_timeout_s, login.noop_interval_s, login.noop_timeout_s) == (15, 5, 5)
    assert login.replacement_timeout_s == 120
    assert login.initiator == b"iqn.2026-11.invalid.crunchbed:n2"
    assert login.target == TARGET_NAME.encode()
    assert (login.user, login.secret) == (b"user", b"secret4secret")
    assert "initiator" in {event.name for event in node.of(DaemonReady)}
    assert {event.transport for event in node.of(WriteAcknowledged)} == {"iscsi"}
    assert Kind.CONNECT not in node.guest.commands


def test_never_is_less_than_no_time_and_a_fraction_of_a_second_is_a_second() -> None:
    made = cluster(IscsiConfig(replacement_timeout=None, noop_out_timeout=1))
    made.boot()
    (login,) = made.nodes["n1"].guest.logins
    assert (login.replacement_timeout_s, login.noop_timeout_s) == (-1, 1)
    assert (login.user, login.secret) == (b"", b"")


@pytest.mark.parametrize(
    ("policy", "classes", "value"),
    [
        ("none", ("block-io", "heartbeat"), Memalloc.OFF),
        ("memalloc", ("heartbeat",), Memalloc.OFF),
        ("memalloc", ("block-io",), Memalloc.ON),
    ],
)
def test_the_kernel_s_socket_follows_the_policy_before_it_is_there(
    policy: str, classes: tuple[str, ...], value: Memalloc
) -> None:
    made = cluster(policy=policy, memalloc=classes)
    made.boot()
    guest = made.nodes["n1"].guest
    assert guest.ports == {PORT: value}
    assert guest.commands.index(Kind.FLAG_PORT) < guest.commands.index(Kind.LOGIN)


def test_another_policy_changes_what_the_port_says() -> None:
    made = cluster(policy="none", memalloc=("block-io",))
    made.boot()
    node = made.nodes["n1"]
    node.life.set_policy("memalloc")
    made.run(20)
    assert node.guest.ports == {PORT: Memalloc.ON}


def test_a_login_that_fails_is_tried_again() -> None:
    made = cluster()
    guest = made.nodes["n1"].guest
    guest.refuses[Kind.LOGIN] = errno.EIO
    made.boot()
    assert len(guest.logins) > 1
    guest.refuses.clear()
    made.run(300)
    assert "initiator" in {event.name for event in made.nodes["n1"].of(DaemonReady)}
