"""Rings in the shared memory: what is put in comes out, around the end and across languages."""

from __future__ import annotations

import random
import subprocess
from collections import deque
from ctypes import sizeof
from pathlib import Path

import pytest

from nodes.guest import layout
from nodes.guest.layout import RING_BYTES, Kind, RingName
from nodes.guest.messages import Done, Sent
from nodes.guest.ring import BrokenRing, Message, Ring, SharedMemory, arrival, datagram, dotted

AGENT = Path(layout.__file__).parent / "agent"
DATA = Path(__file__).parent / "data"


@pytest.fixture
def memory() -> memoryview:
    whole = memoryview(bytearray(layout.SHARED_BYTES))
    SharedMemory(whole).prepare()
    return whole


def padded(body: bytes) -> bytes:
    return body.ljust(len(body) + -len(body) % 8, b"\0")


def put_all(ring: Ring, wanted: deque[Message], seed: random.Random, count: int) -> None:
    """Put messages of random sizes while there is room, and note them."""
    for number in range(count):
        body = seed.randbytes(seed.randrange(0, 700))
        if not ring.put(Kind.SEND, number, body):
            return
        wanted.append(Message(Kind.SEND, number, padded(body)))


@pytest.mark.parametrize("seed", range(5))
def test_messages_come_out_as_they_went_in_many_times_around(memory: memoryview, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311
    ring = Ring(memory, RingName.SEND)
    wanted: deque[Message] = deque()
    taken = 0
    while taken < 20 * RING_BYTES:
        put_all(ring, wanted, source, source.randrange(1, 200))
        for found in ring.take():
            expected = wanted.popleft()
            assert found == expected
            taken += len(found.body)
        assert not wanted


def test_a_full_ring_takes_no_more_and_counts_what_is_lost(memory: memoryview) -> None:
    ring = Ring(memory, RingName.ANSWERS)
    many = RING_BYTES // 32
    assert all(ring.put(Kind.DONE, number, bytes(16)) for number in range(many))
    assert not ring.put(Kind.DONE, many, bytes(16))
    assert ring.lost == 1
    assert [message.id for message in ring.take()] == list(range(many))
    assert ring.put(Kind.DONE, many, bytes(16))
    assert [message.id for message in ring.take()] == [many]


def test_rings_do_not_touch_each_other(memory: memoryview) -> None:
    rings = [Ring(memory, number) for number in range(layout.RINGS)]
    for number, ring in enumerate(rings):
        while ring.put(Kind.DONE, number, bytes([number]) * 64):
            pass
    for number, ring in enumerate(rings):
        found = list(ring.take())
        assert {message.body for message in found} == {bytes([number]) * 64}
        assert {message.id for message in found} == {number}


@pytest.mark.parametrize("size", [0, 12, 1 << 20])
def test_what_is_no_message_is_refused(memory: memoryview, size: int) -> None:
    ring = Ring(memory, RingName.DISK)
    ring.put(Kind.DONE, 1, bytes(24))
    at = layout.DATA_AT + RingName.DISK * RING_BYTES
    memory[at : at + 4] = size.to_bytes(4, "little")
    with pytest.raises(BrokenRing):
        list(ring.take())


def test_a_datagram_names_its_targets() -> None:
    body = datagram(b"payload", 7405, ("10.0.0.1", "10.0.0.2"))
    assert body.endswith(b"payload")
    assert body[:8] == b"\x07\0" + (7405).to_bytes(2, "big") + b"\x02\0\0\0"
    assert body[8:16] == bytes([10, 0, 0, 1, 10, 0, 0, 2])
    with pytest.raises(ValueError, match="513 bytes"):
        datagram(bytes(513), 7405, ("10.0.0.1",))


def test_an_arrival_is_read_without_its_padding() -> None:
    body = bytes([10, 0, 0, 7]) + (7405).to_bytes(2, "big") + b"\x05\0" + bytes(16) + b"hello???"
    received, payload = arrival(body)
    assert dotted(received.from_) == "10.0.0.7"
    assert payload == b"hello"


def test_the_newest_whole_counters_are_returned(memory: memoryview) -> None:
    shared = SharedMemory(memory)
    assert shared.counters() is None
    slots = [
        layout.Counters.from_buffer(memory, layout.COUNTERS_AT + n * layout.COUNTERS_SLOT_BYTES)
        for n in range(layout.COUNTERS_SLOTS)
    ]

    def seen() -> int:
        counters = shared.counters()
        assert counters is not None
        return int(counters.free_pages)

    slots[1].sequence, slots[1].free_pages = 1, 210
    assert seen() == 210
    slots[0].sequence, slots[0].free_pages = 2, 105
    assert seen() == 105
    slots[1].sequence, slots[1].free_pages = 0, 52  # being written
    assert seen() == 105
    slots[1].sequence = 3
    assert seen() == 52


def test_a_window_is_found_by_the_id_of_its_command(memory: memoryview) -> None:
    shared = SharedMemory(memory)
    assert shared.window(0) is None
    last = layout.WINDOWS_AT + (layout.WINDOWS - 1) * sizeof(layout.Window)
    record = layout.Window.from_buffer(memory, last)
    record.id, record.begun_ns, record.oom_calls = 41, 5, 3
    found = shared.window(41)
    assert found is not None
    assert (found.oom_calls, found.freed_ns) == (3, 0)
    assert shared.window(40) is None


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent's ring.c in a program that answers every command with its body."""
    folder = tmp_path_factory.mktemp("echo")
    flags = ["-std=gnu11", "-Wall", "-Werror", f"-I{AGENT}"]
    sources = [str(DATA / "guest_echo.c"), str(AGENT / "ring.c")]
    subprocess.run(["clang", *flags, *sources, "-o", str(folder / "echo")], check=True)
    return folder / "echo"


def test_the_agents_rings_and_ours_are_the_same(
    memory: memoryview, echo: Path, tmp_path: Path
) -> None:
    source = random.Random(1)  # noqa: S311
    file = tmp_path / "shared"
    for turn in range(30):
        control = Ring(memory, RingName.CONTROL)
        wanted: deque[Message] = deque()
        put_all(control, wanted, source, 60)
        file.write_bytes(memory)
        subprocess.run([echo, file], check=True, timeout=10)
        memory[:] = file.read_bytes()
        assert list(control.take()) == []
        for found in Ring(memory, RingName.SENT).take():
            expected = wanted.popleft()
            assert found.id == expected.id
            assert found.body[sizeof(Sent) :] == expected.body
            assert Sent.from_buffer_copy(found.body).reached == 16 + len(expected.body)
        assert not wanted, turn
        for answer in Ring(memory, RingName.ANSWERS).take():
            done = Done.from_buffer_copy(answer.body)
            assert (done.result, done.value, done.at_ns) == (-22, Kind.SEND, 7)


def test_the_agent_counts_what_the_host_leaves_no_room_for(
    memory: memoryview, echo: Path, tmp_path: Path
) -> None:
    file = tmp_path / "shared"
    control, sent = Ring(memory, RingName.CONTROL), Ring(memory, RingName.SENT)
    for number in range(300):
        assert control.put(Kind.SEND, number, bytes(700)), "the agent reads every command"
        file.write_bytes(memory)
        subprocess.run([echo, file], check=True, timeout=10)
        memory[:] = file.read_bytes()
    found = [message.id for message in sent.take()]
    assert found == list(range(len(found)))
    assert len(found) + sent.lost == 300
    assert 0 < sent.lost < 300
