"""What the kernel of a node's namespace knows is gone with the node's power."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest
from pyroute2 import IPRoute

from nodes.connections import end_connections
from nodes.ports import addresses_asked_for, forget_learnt_neighbours, forget_neighbours
from reserve_agent.netns import network_namespace_of

pytestmark = pytest.mark.root


@pytest.fixture
def namespace() -> Iterator[int]:
    """The id of a process in a network namespace of its own, whose loopback is up."""
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 60"], stdout=-1) as it:
        assert it.stdout is not None
        it.stdout.readline()  # it is in its namespace
        with network_namespace_of(it.pid), IPRoute() as netlink:
            netlink.link("set", ifname="lo", state="up")
        try:
            yield it.pid
        finally:
            it.kill()


def test_connections_end_and_say_nothing_more(namespace: int) -> None:
    with network_namespace_of(namespace), socket.socket() as listening, socket.socket() as one:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        one.connect(listening.getsockname())
        with listening.accept()[0]:
            assert end_connections() == 2
            with pytest.raises(ConnectionError):
                one.send(b"of an earlier life")
        assert end_connections() == 0
        with socket.create_connection(listening.getsockname()):
            listening.accept()[0].close()


def test_what_waits_for_an_address_is_gone(namespace: int) -> None:
    with network_namespace_of(namespace), IPRoute() as netlink:
        netlink.link("add", ifname="v0", kind="veth", peer={"ifname": "v1"})
        index = netlink.link_lookup(ifname="v0")[0]
        netlink.addr("add", index=index, address="10.99.0.1", prefixlen=24)
        netlink.link("set", index=index, state="up")  # without a carrier: nobody answers
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"?", ("10.99.0.2", 9))
            assert addresses_asked_for() == {"10.99.0.2"}
            forget_neighbours()
            assert addresses_asked_for() == {"10.99.0.2"}, "arp-expiry leaves it alone"
            forget_learnt_neighbours()
            assert addresses_asked_for() == set()
        known = {"ifindex": index, "lladdr": "02:00:00:00:00:01", "state": 0x80}  # permanent
        netlink.neigh("add", dst="10.99.0.3", **known)
        assert forget_learnt_neighbours() == 0, "what a kernel's profile has set stays"
        assert forget_neighbours() == 1
