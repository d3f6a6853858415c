"""What is written, when, and how it is judged when it is read back."""

from __future__ import annotations

import random
import struct
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nodes.block import verify, writeback
from nodes.block.pattern import BLOCK_BYTES, Stamp, decode, encode, request_bytes
from nodes.block.writeback import Dirtier, Writeback, WritebackSettings
from reserve_agent.errors import BadInput

SECOND = 1_000_000_000
STAMPS = st.builds(
    Stamp,
    node=st.integers(0, 31),
    incarnation=st.integers(0, 100),
    sequence=st.integers(0, 2**63),
    block=st.integers(0, 2**40),
)

# --- pattern


@given(STAMPS)
def test_a_block_says_who_wrote_it(stamp: Stamp) -> None:
    block = encode(stamp)
    assert len(block) == BLOCK_BYTES
    assert decode(block) == stamp


@given(STAMPS, st.integers(0, BLOCK_BYTES - 1), st.integers(1, 255))
@example(Stamp(1, 2, 3, 4), 12, 1)  # where the header has a hole
def test_any_changed_byte_shows(stamp: Stamp, position: int, change: int) -> None:
    block = bytearray(encode(stamp))
    block[position] ^= change
    assert decode(bytes(block)) is None


@given(STAMPS, STAMPS, st.integers(1, BLOCK_BYTES - 1))
def test_a_torn_block_shows(old: Stamp, new: Stamp, cut: int) -> None:
    torn = encode(new)[:cut] + encode(old)[cut:]
    assert decode(torn) in (None, old, new)
    if torn not in (encode(old), encode(new)):
        assert decode(torn) is None


@pytest.mark.parametrize("block", [b"", bytes(BLOCK_BYTES), b"crunchbd" + bytes(4088), bytes(512)])
def test_what_nobody_wrote_has_no_stamp(block: bytes) -> None:
    assert decode(block) is None


def test_the_header_is_what_its_description_says() -> None:
    block = encode(Stamp(node=2, incarnation=1, sequence=5, block=9))
    assert block[:8] == b"crunchbd"
    assert struct.unpack_from("<HHIQQ", block, 8) == (2, 1, 0, 5, 9)


def test_a_request_is_its_blocks_in_order() -> None:
    data = request_bytes(Stamp(0, 0, 7, 40), 3)
    blocks = [bytes(data[at : at + BLOCK_BYTES]) for at in range(0, len(data), BLOCK_BYTES)]
    assert [decode(block) for block in blocks] == [Stamp(0, 0, 7, 40 + i) for i in range(3)]


def test_a_later_life_is_younger_than_any_write_of_an_earlier_one() -> None:
    assert Stamp(0, 1, 1, 0).age > Stamp(0, 0, 10**9, 0).age > Stamp(0, 0, 5, 0).age


# --- writeback


def queue_of(first: int, region: int, depth: int, blocks: int) -> Writeback:
    return Writeback(
        WritebackSettings(
            incarnation=0,
            transport="nbd",
            first_block=first,
            region_blocks=region,
            queue_depth=depth,
            request_blocks=blocks,
            dirty_rate=0,
        )
    )


def test_requests_go_round_the_region() -> None:
    queue = queue_of(100, 10, 1, 4)
    blocks = []
    for _ in range(5):
        pending = queue.next(dirty=100, now_ns=7)
        assert pending is not None
        blocks.append(pending.block)
        assert pending == writeback.Request(len(blocks), pending.block, 4, 7)
        queue.acknowledged(pending.sequence)
    assert blocks == [100, 104, 100, 104, 100], "what does not make a whole request is not used"


def test_the_queue_is_bounded() -> None:
    queue = queue_of(0, 1000, 3, 4)
    assert [queue.next(1000, 0) is not None for _ in range(5)] == [True] * 3 + [False] * 2
    queue.acknowledged(2)
    assert queue.next(1000, 0) is not None
    assert queue.next(1000, 0) is None


def test_pages_in_flight_are_not_written_twice() -> None:
    queue = queue_of(0, 1000, 16, 4)
    assert queue.next(3, 0) is None
    assert queue.next(7, 0) is not None
    assert queue.next(7, 0) is None
    assert queue.next(8, 0) is not None


def test_no_two_writes_of_the_same_blocks_are_in_flight() -> None:
    queue = queue_of(0, 8, 16, 4)
    first, second = queue.next(1000, 0), queue.next(1000, 0)
    assert first is not None
    assert second is not None
    assert queue.next(1000, 0) is None
    queue.acknowledged(second.sequence)
    assert queue.next(1000, 0) is None, "the next in turn is still under way"
    queue.acknowledged(first.sequence)
    third = queue.next(1000, 0)
    assert third is not None
    assert (third.sequence, third.block) == (3, 0)


def test_a_region_without_room_for_a_request_is_refused() -> None:
    with pytest.raises(BadInput, match="a request of 4 blocks in a region of 3"):
        queue_of(0, 3, 1, 4)


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 20), st.randoms(use_true_random=False))
def test_writes_in_flight_never_touch_and_stay_in_the_region(
    region: int, blocks: int, depth: int, dice: random.Random
) -> None:
    if region < blocks:
        return
    queue = queue_of(1000, region, depth, blocks)
    sequence = 0
    for _ in range(200):
        if queue.in_flight and dice.random() < 0.5:
            queue.acknowledged(dice.choice(list(queue.in_flight)))
            continue
        pending = queue.next(dirty=dice.randrange(300), now_ns=0)
        if pending is not None:
            sequence += 1
            assert pending.sequence == sequence
        flying = list(
            chain.from_iterable(
                range(each.block, each.block + each.blocks) for each in queue.in_flight.values()
            )
        )
        assert len(flying) == len(set(flying))
        assert all(1000 <= block < 1000 + region for block in flying)
        assert len(queue.in_flight) <= depth


# --- dirtier


def test_a_steady_rate_loses_nothing_to_rounding() -> None:
    dirtier = Dirtier(rate=333, now_ns=0)
    total = sum(dirtier.due(step * 2_000_000) for step in range(1, 5001))
    assert total in (3329, 3330)


def test_a_burst_starts_when_told_and_ends_when_done() -> None:
    dirtier = Dirtier(rate=0, now_ns=0)
    dirtier.burst(pages=1000, rate=10_000, start_ns=SECOND)
    assert dirtier.due(SECOND) == 0
    assert dirtier.due(SECOND + SECOND // 100) == 100
    assert dirtier.due(3 * SECOND) == 900
    assert dirtier.due(4 * SECOND) == 0
    assert (dirtier.burst_pages, dirtier.burst_dirtied) == (1000, 1000)


def test_a_burst_that_begins_between_two_looks_counts_from_its_beginning() -> None:
    dirtier = Dirtier(rate=0, now_ns=0)
    dirtier.burst(pages=10_000, rate=1000, start_ns=SECOND // 2)
    assert dirtier.due(SECOND) == 500


def test_a_burst_comes_on_top_of_the_steady_rate() -> None:
    dirtier = Dirtier(rate=100, now_ns=0)
    dirtier.burst(pages=50, rate=1000, start_ns=0)
    assert dirtier.due(SECOND) == 150


def test_calm_gives_the_rest_up() -> None:
    dirtier = Dirtier(rate=0, now_ns=0)
    dirtier.burst(pages=1000, rate=100, start_ns=0)
    assert dirtier.due(SECOND) == 100
    dirtier.calm()
    assert dirtier.due(2 * SECOND) == 0
    assert (dirtier.burst_pages, dirtier.burst_dirtied) == (1000, 100)


# --- verify


def test_the_newest_acknowledged_write_of_a_block_is_expected() -> None:
    rows = [(0, 0, 9, 0, 2), (0, 1, 1, 1, 2), (0, 0, 3, 0, 1), (1, 0, 4, 50, 1)]
    assert verify.newest(rows) == {
        0: Stamp(0, 0, 9, 0),
        1: Stamp(0, 1, 1, 1),
        2: Stamp(0, 1, 1, 2),
        50: Stamp(1, 0, 4, 50),
    }


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (encode(Stamp(0, 1, 5, 7)), "ok"),
        (encode(Stamp(0, 1, 6, 7)), "ok"),  # written, its acknowledgement was not received
        (encode(Stamp(0, 2, 1, 7)), "ok"),
        (encode(Stamp(0, 1, 4, 7)), "lost"),
        (encode(Stamp(0, 0, 99, 7)), "lost"),
        (bytes(BLOCK_BYTES), "lost"),
        (encode(Stamp(1, 1, 5, 7)), "corrupt"),
        (encode(Stamp(0, 1, 5, 8)), "corrupt"),
        (b"\xff" * BLOCK_BYTES, "corrupt"),
        (encode(Stamp(0, 1, 5, 7))[:-1] + b"?", "corrupt"),
    ],
)
def test_verdict_on_a_block(found: bytes, verdict: str) -> None:
    assert verify.verdict(Stamp(0, 1, 5, 7), found) == verdict


@given(st.sets(st.integers(0, 3000)))
def test_reads_cover_what_is_expected_and_nothing_else(blocks: set[int]) -> None:
    runs = list(verify.runs(blocks))
    covered = [block for first, count in runs for block in range(first, first + count)]
    assert covered == sorted(blocks)
    assert all(1 <= count <= 256 for _, count in runs)


def test_long_reads_are_cut() -> None:
    assert list(verify.runs(range(600))) == [(0, 256), (256, 256), (512, 88)]


class Disk:
    """Stands in for a file."""

    def __init__(self, blocks: dict[int, bytes]) -> None:
        self.blocks = blocks

    def pread(self, count: int, offset: int) -> bytes:
        first = offset // BLOCK_BYTES
        numbers = range(first, first + count // BLOCK_BYTES)
        return b"".join(self.blocks.get(n, bytes(BLOCK_BYTES)) for n in numbers)


def test_every_expected_block_is_judged() -> None:
    expected = {n: Stamp(0, 0, 1, n) for n in (*range(10), 500, 501)}
    disk = Disk({n: encode(stamp) for n, stamp in expected.items()})
    assert verify.check(disk.pread, expected) == {"ok": 12, "lost": 0, "corrupt": 0}
    del disk.blocks[500]
    disk.blocks[3] = disk.blocks[4]
    assert verify.check(disk.pread, expected) == {"ok": 10, "lost": 1, "corrupt": 1}


def test_what_a_file_does_not_have_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(encode(Stamp(0, 0, 1, 0)) + encode(Stamp(0, 0, 1, 1))[:100])
    expected = {n: Stamp(0, 0, 1, n) for n in (0, 1, 9)}
    assert verify.check_file(file, expected) == {"ok": 1, "lost": 1, "corrupt": 1}
