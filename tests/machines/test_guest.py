"""A guest on a stock kernel: the agent, levels, counters and flags. Needs ``make machines``."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.guest import commands
from nodes.guest.layout import BALLAST_NONE, Kind, Memalloc, Side, Socket, State, Window
from nodes.guest.messages import Ballast, Connect, Flag, FlagPort, Level, Reserve, Sink
from nodes.guest.ring import network_address, network_port
from tests.machines.guest import (
    SINK_PORT,
    TARGET_ADDRESS,
    TARGET_PORT,
    Guest,
    booted,
    started,
    wait_for,
)

HEARTBEAT_PORT = 7405
TOLERANCE_PAGES = 3
USUAL_BUFFER = 212_992
"""Bytes that a kernel lets a reader have waiting (net.core.rmem_default), some 52 pages."""


@pytest.fixture(
    scope="module",
    params=[("6.1", "e1000"), ("6.1-cloud", "virtio-net-pci"), ("6.12", "vmxnet3")],
    ids="-".join,
)
def guest(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guest]:
    kernel, nic = request.param
    with booted(kernel, nic, tmp_path_factory.mktemp("guest")) as found:
        yield found


def over(guest: Guest, ident: int) -> Window:
    """Wait for the end of a window."""
    found: list[Window] = []

    def ended() -> bool:
        record = guest.shared.window(ident)
        found[:] = [record] if record is not None and record.freed_ns else []
        return bool(found)

    assert wait_for(ended, 30)
    return found[0]


def held(guest: Guest, level: Level) -> Window:
    """Have a window, and wait for its end."""
    assert guest.do(Kind.LEVEL, level).result == 0
    return over(guest, guest.last_id)


@pytest.mark.parametrize("milli", [1000, 500, 250, 0])
def test_a_level_is_held(guest: Guest, milli: int) -> None:
    guest.do(Kind.BALLAST, Ballast(400))
    window = held(guest, Level(hold_us=1_500_000, refill_us=5000, level_milli=milli))

    def given_back() -> bool:
        counters = guest.shared.counters()
        return counters is not None and counters.held_pages == 0

    assert wait_for(given_back, 5)
    counters = guest.shared.counters()
    assert counters is not None
    assert window.requested_pages == counters.min_pages * milli // 1000
    assert abs(window.reached_pages - window.requested_pages) <= TOLERANCE_PAGES
    assert window.low_pages <= window.reached_pages
    assert 1.5e9 <= window.ended_ns - window.reached_ns < 2.5e9
    assert counters.free_pages > counters.high_pages


def test_a_window_begins_when_it_is_asked_to_and_ends_when_told(guest: Guest) -> None:
    begin = guest.shared.agent.now_ns + 300_000_000
    guest.do(Kind.LEVEL, Level(begin_ns=begin, hold_us=60_000_000, level_milli=500))
    ident = guest.last_id
    assert wait_for(lambda: guest.shared.agent.now_ns > begin + 200_000_000, 10)
    assert guest.do(Kind.CALM).result == 0
    window = over(guest, ident)
    assert (window.asked_ns, window.begun_ns >= begin) == (begin, True)
    assert window.ended_ns - window.reached_ns < 10_000_000_000


def test_a_ramp_takes_its_time(guest: Guest) -> None:
    window = held(guest, Level(hold_us=50_000, ramp_us=400_000, level_milli=500))
    assert window.reached_ns - window.begun_ns >= 400_000_000
    assert abs(window.reached_pages - window.requested_pages) <= TOLERANCE_PAGES


def test_the_flag_is_counted_once_however_often_it_is_set(guest: Guest) -> None:
    def flagged(value: Memalloc) -> int:
        done = guest.do(Kind.FLAG, Flag(Socket.HEARTBEAT, value))
        assert done.result == 0
        return int(done.value)

    def sockets(count: int) -> bool:
        counters = guest.shared.counters()
        return counters is not None and counters.memalloc_sockets == count

    assert [flagged(Memalloc.ON), flagged(Memalloc.ON)] == [Memalloc.ON] * 2
    assert wait_for(lambda: sockets(1), 5)
    assert [flagged(Memalloc.NOWAIT), flagged(Memalloc.ON)] == [Memalloc.NOWAIT, Memalloc.ON]
    assert [flagged(Memalloc.OFF), flagged(Memalloc.OFF)] == [Memalloc.OFF] * 2
    assert wait_for(lambda: sockets(0), 5)


def flag_port(guest: Guest, protocol: int, side: Side, port: int, value: Memalloc) -> int:
    """Say what sockets of a port have; return how many follow."""
    asked = commands.flag_port(protocol, side, port, value)
    done = guest.do(asked.kind, asked.body)
    assert done.result == 0
    return int(done.value)


def counts(guest: Guest, flagged: int, key: int) -> bool:
    """Wait until so many sockets have the flag, and the kernel counts so many."""

    def counted() -> bool:
        counters = guest.shared.counters()
        found = counters and (counters.flagged_sockets, counters.memalloc_sockets)
        return found == (flagged, key)

    return wait_for(counted, 5)


def test_a_program_s_socket_is_flagged_by_its_port(guest: Guest) -> None:
    def follow(value: Memalloc) -> int:
        return flag_port(guest, socket.IPPROTO_UDP, Side.LOCAL, HEARTBEAT_PORT, value)

    assert counts(guest, 0, 0)
    assert [follow(Memalloc.ON), follow(Memalloc.NOWAIT)] == [1, 1]
    assert counts(guest, 1, 1)
    # Who sets it by the socket's own option is not counted twice, and does not keep it.
    assert guest.do(Kind.FLAG, Flag(Socket.HEARTBEAT, Memalloc.ON)).value == Memalloc.ON
    assert counts(guest, 1, 1)
    assert [follow(Memalloc.OFF), follow(Memalloc.OFF)] == [1, 1]
    assert counts(guest, 0, 0)
    assert guest.do(Kind.FLAG, Flag(Socket.HEARTBEAT, Memalloc.ON)).result == 0
    assert counts(guest, 0, 0)


def test_a_socket_that_is_made_later_is_flagged(guest: Guest) -> None:
    port = 9000
    assert flag_port(guest, socket.IPPROTO_UDP, Side.EITHER, port, Memalloc.ON) == 0
    assert guest.do(Kind.SINK, Sink(port=network_port(port))).result == 0
    assert counts(guest, 1, 1)
    assert flag_port(guest, socket.IPPROTO_UDP, Side.EITHER, port, Memalloc.OFF) == 1
    assert counts(guest, 0, 0)


def test_the_kernel_s_own_socket_loses_its_flag_by_its_peer_s_port(guest: Guest) -> None:
    device = Connect(
        address=network_address(TARGET_ADDRESS), port=network_port(TARGET_PORT), connect_ms=5000
    )
    done = guest.do(Kind.CONNECT, device, of_disk=True)
    assert (done.result, done.value) == (0, 16 << 20)
    assert counts(guest, 1, 1)
    assert flag_port(guest, socket.IPPROTO_TCP, Side.LOCAL, TARGET_PORT, Memalloc.OFF) == 0
    assert counts(guest, 1, 1)
    assert flag_port(guest, socket.IPPROTO_TCP, Side.REMOTE, TARGET_PORT, Memalloc.OFF) == 1
    assert counts(guest, 0, 0)
    assert flag_port(guest, socket.IPPROTO_TCP, Side.REMOTE, TARGET_PORT, Memalloc.ON) == 1
    assert counts(guest, 1, 1)
    assert guest.do(Kind.DISCONNECT, of_disk=True).result == 0
    assert counts(guest, 0, 0)  # also where the module has flagged it again before its end


def test_a_reader_that_does_not_read_keeps_more_than_the_usual_buffer(guest: Guest) -> None:
    assert guest.do(Kind.SINK, Sink(network_port(SINK_PORT), 0, 1 << 30)).result == 0
    assert guest.do(Kind.FLAG, Flag(Socket.SINK, Memalloc.ON)).value == Memalloc.ON
    agent = guest.shared.agent
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        to = ("127.0.0.1", guest.sink)

        def full() -> bool:
            sender.sendto(bytes(100), to)
            return agent.sink_bytes > 2 * USUAL_BUFFER

        assert wait_for(full, 60), agent.sink_bytes
    assert guest.do(Kind.SINK, Sink(network_port(0), 0, 0)).result == 0
    assert wait_for(lambda: agent.sink_bytes == 0, 5)

    def unflagged() -> bool:
        counters = guest.shared.counters()
        return counters is not None and counters.memalloc_sockets == 0

    assert wait_for(unflagged, 5)
    assert guest.do(Kind.FLAG, Flag(Socket.SINK, Memalloc.ON)).result == -errno.ENOTCONN


def test_another_reserve_is_the_kernels_at_once(guest: Guest) -> None:
    def has(pages: int) -> bool:
        counters = guest.shared.counters()
        return counters is not None and pages * 3 // 4 < counters.min_pages <= pages

    for pages in (512, 256):
        assert guest.do(Kind.RESERVE, Reserve(pages * 4, 0)).result == 0
        assert wait_for(lambda wanted=pages: has(wanted), 5)


def test_what_cannot_be_done_is_refused(guest: Guest) -> None:
    refused = [
        guest.do(Kind.FLAG, Flag(Socket.DISK, Memalloc.ON)),
        guest.do(Kind.FLAG, Flag(Socket.HEARTBEAT, 7)),
        guest.do(Kind.LEVEL, Level(demand=5, level_milli=100)),
        guest.do(Kind.CONNECT, None),
        guest.do(Kind.FLAG_PORT, FlagPort(protocol=socket.IPPROTO_ICMP, side=1, value=1)),
        guest.do(Kind.FLAG_PORT, FlagPort(protocol=socket.IPPROTO_UDP, side=1, value=1)),
        guest.do(Kind.FLAG_PORT, FlagPort(socket.IPPROTO_UDP, 0, network_port(1), 1)),
        guest.do(Kind.FLAG_PORT, FlagPort(socket.IPPROTO_UDP, 1, network_port(1), 3)),
    ]
    assert [done.result for done in refused] == [-107, -22, -22, -22, *[-22] * 4]
    assert guest.do(Kind.PING).result == 0


def test_the_ballast_is_given_back(guest: Guest) -> None:
    assert guest.do(Kind.BALLAST, Ballast(400)).value > 1000
    assert guest.do(Kind.BALLAST, Ballast(BALLAST_NONE)).value == 0


def test_a_guest_that_is_told_to_goes_off(tmp_path: Path) -> None:
    with booted("6.1-cloud", "virtio-net-pci", tmp_path) as guest:
        with pytest.raises(AssertionError, match="no answer"):
            guest.do(Kind.POWEROFF)
        assert guest.process.wait(10) == 0


def test_a_card_without_a_driver_is_named(tmp_path: Path) -> None:
    with started("6.1-cloud", "e1000", tmp_path) as guest:
        agent = guest.shared.agent
        assert wait_for(lambda: agent.state == State.FAILED, 120)
        assert agent.failure == b"this kernel has no driver for the card e1000"
        assert guest.process.wait(20) == 0
