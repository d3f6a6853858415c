"""The structures of ``crunchbed.h`` for ctypes, and the names of its enumerations.

Field meanings stand in the header; times are CLOCK_MONOTONIC nanoseconds, sizes are pages of
4 KiB. ``tests/unit/test_layout.py`` compares this file with the header.
"""

from __future__ import annotations

import ctypes as c
from enum import IntEnum

from reserve_agent.hooks.layout_audit import Protocols

PAGE_BYTES = 4096
WHEEL_SLOTS = 16
WHEEL_LIFE = 9
MAX_RULES = 8
MAX_LOSSES = 64
LOSS_ALWAYS = 0xFFFFFFFF
MAX_WINDOWS = 4096
WINDOWS_PER_STEP = 8
JOURNAL_ENTRIES = 4096
TEST_SOCKETS = 16
COUNTER_ENTRIES = 256
COUNTER_HOOK_SHIFT = 6
COUNTER_CLASS_SHIFT = 4

SOCK_MEMALLOC = 1
SOCK_WRITEBACK = 2
SOCK_STALLED = 4

MARK_FROM_RESERVE = 0x80000000
MARK_CHARGED = 0x40000000
MARK_SLOT_SHIFT = 24
MARK_PAGES_SHIFT = 8
MARK_CLASS_MASK = 0x0F


class Policy(IntEnum):
    """Policies, section 3 of the design (docs/policies.md)."""

    NONE = 0
    SOFTNET = 1
    MEMALLOC = 2
    MEMPOOL = 3
    CRITICAL = 4


class PacketClass(IntEnum):
    """What a packet is."""

    OTHER = 0
    BLOCK_IO = 1
    HEARTBEAT = 2
    CONTROL = 3

    @property
    def label(self) -> str:
        """Name in results and metrics: ``block-io``."""
        return self.name.lower().replace("_", "-")


class Hook(IntEnum):
    """Where a verdict was given."""

    RECEIVE = 0
    DELIVER = 1
    TRANSMIT = 2


class Reason(IntEnum):
    """Why a packet passed (the first two) or was dropped (all others)."""

    GRANTED = 0
    FROM_RESERVE = 1
    ALLOC_FAILED = 2
    RESERVE_EXHAUSTED = 3
    SOFTNET_THROTTLED = 4
    NOT_MEMALLOC = 5
    NO_POOL = 6
    POOL_EMPTY = 7
    NOT_CRITICAL = 8
    NOT_VM_AWARE = 9
    TX_STALLED = 10
    LOST = 11

    @property
    def passed(self) -> bool:
        """Whether the packet went on."""
        return self <= Reason.FROM_RESERVE


class Op(IntEnum):
    """Operations of ``cb_operate``."""

    TICK = 0
    DIRTY = 1
    CLEAN = 2
    RESIZE = 3
    RESET = 4
    EMERGENCY = 5
    CALM = 6
    WAKE = 7


class Entry(IntEnum):
    """Kinds of journal entries."""

    PRESSURE_BEGIN = 1
    PRESSURE_END = 2
    DROP = 3


class Rule(c.Structure):
    """``struct cb_rule``."""

    _fields_ = (
        ("port", c.c_uint16),
        ("protocol", c.c_uint8),
        ("cls", c.c_uint8),
        ("flags", c.c_uint32),
    )


class Loss(c.Structure):
    """``struct cb_loss``."""

    _fields_ = (("source", c.c_uint32), ("threshold", c.c_uint32))


class Config(c.Structure):
    """``struct cb_config``; written by the agent only."""

    _fields_ = (
        ("policy", c.c_uint32),
        ("service_shift", c.c_uint32),
        ("windows", c.c_uint32),
        ("softnet_limit", c.c_uint32),
        ("softnet_cost_ns", c.c_uint32),
        ("mempool_pages", c.c_uint32),
        ("enforce", c.c_uint32),
        ("losing", c.c_uint32),
        ("rules", Rule * MAX_RULES),
        ("losses", Loss * MAX_LOSSES),
    )


class Window(c.Structure):
    """``struct cb_window``."""

    _fields_ = (("start", c.c_uint64), ("end", c.c_uint64), ("level", c.c_uint64))


class Windows(c.Structure):
    """``struct cb_windows``."""

    _fields_ = (("entries", Window * MAX_WINDOWS),)


class Wheel(c.Structure):
    """``struct cb_wheel``."""

    _fields_ = (
        ("tick", c.c_uint64),
        ("pages", c.c_uint64),
        ("slot", c.c_uint32 * WHEEL_SLOTS),
    )


POOL_FIELDS = (
    "total",
    "reserve",
    "free",
    "clean",
    "dirty",
    "demand",
    "squeezed",
    "rx_stalled",
    "tx",
    "low_water",
    "now",
    "generation",
    "hoarded",
    "wakes",
    "pressure",
    "pressure_since",
    "pressure_ns",
    "pressure_longest_ns",
    "pressure_episodes",
    "window",
    "in_window",
    "emergency",
    "softnet_backlog_ns",
    "softnet_since",
    "softnet_throttled",
    "journal_head",
)


class Pool(c.Structure):
    """``struct cb_pool``; written by the hooks only."""

    _fields_ = (*((name, c.c_uint64) for name in POOL_FIELDS), ("running", Wheel))


class JournalEntry(c.Structure):
    """``struct cb_entry_record``."""

    _fields_ = (
        ("t", c.c_uint64),
        ("value", c.c_uint64),
        ("tag", c.c_uint8 * 8),
        ("source", c.c_uint8 * 4),
        ("destination", c.c_uint8 * 4),
        ("kind", c.c_uint16),
        ("hook", c.c_uint8),
        ("reason", c.c_uint8),
        ("cls", c.c_uint8),
        ("pad", c.c_uint8 * 3),
    )


class Journal(c.Structure):
    """``struct cb_journal``."""

    _fields_ = (("entries", JournalEntry * JOURNAL_ENTRIES),)


class Counter(c.Structure):
    """``struct cb_counter``."""

    _fields_ = (("packets", c.c_uint64), ("pages", c.c_uint64))


class Counters(c.Structure):
    """``struct cb_counters``, one per processor."""

    _fields_ = (("by", Counter * COUNTER_ENTRIES),)


class Socket(c.Structure):
    """``struct cb_socket``: what a socket's storage holds."""

    _fields_ = (
        ("flags", c.c_uint32),
        ("closed", c.c_uint32),
        ("generation", c.c_uint64),
        ("tx_started", c.c_uint32),
        ("tx_base", c.c_uint32),
        ("tx_end", c.c_uint64),
        ("tx_una", c.c_uint64),
        ("wakes", c.c_uint64),
        ("hoarded", c.c_uint64),
        ("from_reserve", c.c_uint64),
        ("pool", Wheel),
    )


class SkBuff(c.Structure):
    """``struct __sk_buff`` of linux/bpf.h: context of BPF_PROG_TEST_RUN."""

    _fields_ = (
        ("len", c.c_uint32),
        ("pkt_type", c.c_uint32),
        ("mark", c.c_uint32),
        ("queue_mapping", c.c_uint32),
        ("protocol", c.c_uint32),
        ("vlan_present", c.c_uint32),
        ("vlan_tci", c.c_uint32),
        ("vlan_proto", c.c_uint32),
        ("priority", c.c_uint32),
        ("ingress_ifindex", c.c_uint32),
        ("ifindex", c.c_uint32),
        ("tc_index", c.c_uint32),
        ("cb", c.c_uint32 * 5),
        ("hash", c.c_uint32),
        ("tc_classid", c.c_uint32),
        ("data", c.c_uint32),
        ("data_end", c.c_uint32),
        ("napi_id", c.c_uint32),
        ("family", c.c_uint32),
        ("remote_ip4", c.c_uint32),
        ("local_ip4", c.c_uint32),
        ("remote_ip6", c.c_uint32 * 4),
        ("local_ip6", c.c_uint32 * 4),
        ("remote_port", c.c_uint32),
        ("local_port", c.c_uint32),
        ("data_meta", c.c_uint32),
        ("flow_keys", c.c_uint64),
        ("tstamp", c.c_uint64),
        ("wire_len", c.c_uint32),
        ("gso_segs", c.c_uint32),
        ("sk", c.c_uint64),
        ("gso_size", c.c_uint32),
        ("tstamp_type", c.c_uint8),
        ("hwtstamp", c.c_uint64),
    )


MAP_VALUES: dict[str, type[c.Structure]] = {
    "cb_pool": Pool,
    "cb_config": Config,
    "cb_journal": Journal,
    "cb_windows": Windows,
    "cb_counters": Counters,
    "cb_sockets": Socket,
    "cb_test_sockets": Socket,
    "cb_protocols": Protocols,
}
