"""The structures of ``shared.h`` for ctypes; a unit test compares the two, field by field.

``shared.h`` says what the fields mean. Times are nanoseconds of the guest's CLOCK_MONOTONIC;
addresses and ports are in network byte order.
"""

from __future__ import annotations

import ctypes as c
from enum import IntEnum
from typing import Final

MAGIC: Final = 0x6472436B
VERSION: Final = 3
SHARED_BYTES: Final = 0x100000
AGENT_AT: Final = 0x0000
RINGS_AT: Final = 0x0800
COUNTERS_AT: Final = 0x1000
COUNTERS_SLOT_BYTES: Final = 0x800
WINDOWS_AT: Final = 0x2000
COROSYNC_AT: Final = 0xA800
PROBED_AT: Final = 0xF000
DATA_AT: Final = 0x10000
COUNTERS_SLOTS: Final = 2
WINDOWS: Final = 256
WRITERS: Final = 4
RING_BYTES: Final = 0x10000
MAX_PAYLOAD: Final = 512
MAX_TARGETS: Final = 16
COROSYNC_BYTES: Final = 0x4000
MAX_PORTS: Final = 8
BALLAST_NONE: Final = 0xFFFFFFFF


class State(IntEnum):
    """How far the agent is."""

    NONE = 0
    READY = 1
    FAILED = 2


class RingName(IntEnum):
    """The rings; the first two go to the guest, all others to the host."""

    CONTROL = 0
    SEND = 1
    ANSWERS = 2
    SENT = 3
    RECEIVED = 4
    DISK = 5
    DISK_ENDED = 6
    TASK = 7
    COROSYNC = 8
    WRITER = 9  # of the first of WRITERS


RINGS: Final = RingName.WRITER + WRITERS


class Kind(IntEnum):
    """What a message is: padding, a command (below 64) or an event."""

    PAD = 0
    PING = 1
    FLAG = 2
    LEVEL = 3
    CALM = 4
    BALLAST = 5
    CONNECT = 6
    DISCONNECT = 7
    WRITE = 8
    SWAP = 9
    DIRTY = 10
    CHECK = 11
    NEIGHBOUR = 12
    SINK = 13
    RESERVE = 14
    SEND = 15
    POWEROFF = 16
    FLAG_PORT = 17
    LOGIN = 18
    NVME = 19
    PROBE = 20
    DESCRIPTORS = 21
    DONE = 64
    SENT = 65
    RECEIVED = 66
    WRITTEN = 67
    COROSYNC_LINE = 68
    COROSYNC_LEFT = 69
    COROSYNC_QUORUM = 70
    COROSYNC_PACKETS = 71
    COROSYNC_ENDED = 72


class Socket(IntEnum):
    """Sockets that can be flagged."""

    HEARTBEAT = 0
    DISK = 1
    SINK = 2


class Memalloc(IntEnum):
    """Values of ``SO_MEMALLOC``."""

    OFF = 0
    ON = 1
    NOWAIT = 2


class Side(IntEnum):
    """Whose port a socket is looked up by."""

    LOCAL = 1
    REMOTE = 2
    EITHER = 3


class DirtyForm(IntEnum):
    """Where the pages of the normal task go."""

    ANONYMOUS = 0
    BUFFERED = 1


class Failure(IntEnum):
    """Kinds of failed allocations."""

    ATOMIC = 0
    FRAGMENT = 1
    NOWAIT = 2
    MEMALLOC = 3
    BLOCKING = 4
    MEMALLOC_FRAGMENT = 5


class Request(IntEnum):
    """Kinds of requests whose floors are probed."""

    ATOMIC = 0
    FRAGMENT = 1
    REALTIME = 2
    NORMAL = 3
    MEMALLOC = 4


class Writing(c.LittleEndianStructure):
    """A write that is on its way."""

    _fields_ = (("sequence", c.c_uint64), ("begun_ns", c.c_uint64))


class Agent(c.LittleEndianStructure):
    """The agent's part."""

    _fields_ = (
        ("magic", c.c_uint32),
        ("version", c.c_uint32),
        ("state", c.c_uint32),
        ("error", c.c_int32),
        ("ready_ns", c.c_uint64),
        ("now_ns", c.c_uint64),
        ("turns", c.c_uint64),
        ("late_ns", c.c_uint64),
        ("sink_bytes", c.c_uint64),
        ("writing", Writing * WRITERS),
        ("release", c.c_char * 64),
        ("failure", c.c_char * 64),
    )


class Corosync(c.LittleEndianStructure):
    """What corosync is told."""

    _fields_ = (
        ("nodes", c.c_uint32),
        ("id", c.c_uint32),
        ("links", c.c_uint32),
        ("bytes", c.c_uint32),
        ("configuration", c.c_char * COROSYNC_BYTES),
    )


class RingControl(c.LittleEndianStructure):
    """Positions of one ring, in bytes since the start."""

    _fields_ = (
        ("head", c.c_uint64),
        ("lost", c.c_uint64),
        ("unused_head", c.c_uint64 * 6),
        ("tail", c.c_uint64),
        ("unused_tail", c.c_uint64 * 7),
    )


class Header(c.LittleEndianStructure):
    """Begin of a message."""

    _fields_ = (
        ("bytes", c.c_uint32),
        ("kind", c.c_uint16),
        ("unused", c.c_uint16),
        ("id", c.c_uint64),
    )


class Counters(c.LittleEndianStructure):
    """What the module publishes, about every 5 ms."""

    _fields_ = (
        ("sequence", c.c_uint64),
        ("at_ns", c.c_uint64),
        ("panicked_ns", c.c_uint64),
        ("free_pages", c.c_uint64),
        ("min_pages", c.c_uint64),
        ("low_pages", c.c_uint64),
        ("high_pages", c.c_uint64),
        ("managed_pages", c.c_uint64),
        ("highatomic_pages", c.c_uint64),
        ("free_pages_all", c.c_uint64),
        ("dirty_pages", c.c_uint64),
        ("writeback_pages", c.c_uint64),
        ("file_pages", c.c_uint64),
        ("anonymous_pages", c.c_uint64),
        ("slab_pages", c.c_uint64),
        ("ballast_pages", c.c_uint64),
        ("held_pages", c.c_uint64),
        ("failed", c.c_uint64 * len(Failure)),
        ("oom_calls", c.c_uint64),
        ("direct_reclaims", c.c_uint64),
        ("swapped_out_pages", c.c_uint64),
        ("swapped_in_pages", c.c_uint64),
        ("pfmemalloc_drops", c.c_uint64),
        ("rx_packets", c.c_uint64),
        ("rx_dropped", c.c_uint64),
        ("rx_missed", c.c_uint64),
        ("rx_fifo_errors", c.c_uint64),
        ("tx_packets", c.c_uint64),
        ("memalloc_sockets", c.c_uint64),
        ("flagged_sockets", c.c_uint64),
        ("port_sockets", c.c_uint64),
        ("windows_begun", c.c_uint64),
        ("windows_ended", c.c_uint64),
        ("windows_waiting", c.c_uint64),
    )


class Window(c.LittleEndianStructure):
    """Record of one window."""

    _fields_ = (
        ("id", c.c_uint64),
        ("asked_ns", c.c_uint64),
        ("begun_ns", c.c_uint64),
        ("reached_ns", c.c_uint64),
        ("ended_ns", c.c_uint64),
        ("freed_ns", c.c_uint64),
        ("requested_pages", c.c_int64),
        ("reached_pages", c.c_int64),
        ("low_pages", c.c_int64),
        ("ended_pages", c.c_int64),
        ("level_milli", c.c_uint32),
        ("hold_us", c.c_uint32),
        ("taken_pages", c.c_uint32),
        ("refilled_pages", c.c_uint32),
        ("drained_objects", c.c_uint32),
        ("highatomic_pages", c.c_uint32),
        ("failed", c.c_uint32 * len(Failure)),
        ("oom_calls", c.c_uint32),
    )


class Probed(c.LittleEndianStructure):
    """Floors, by ``Request``."""

    _fields_ = (
        ("min_pages", c.c_uint64),
        ("highatomic_pages", c.c_uint64),
        ("step_pages", c.c_uint64),
        ("granted", c.c_int64 * len(Request)),
        ("refused", c.c_int64 * len(Request)),
    )
