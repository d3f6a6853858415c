"""Bodies of the commands and events of ``shared.h`` for ctypes; see ``layout.py``."""

from __future__ import annotations

import ctypes as c

from nodes.guest.layout import MAX_TARGETS


class Flag(c.LittleEndianStructure):
    """Set or clear ``SO_MEMALLOC``."""

    _fields_ = (("socket", c.c_uint32), ("value", c.c_uint32))


class FlagPort(c.LittleEndianStructure):
    """Set or clear the flag of all sockets of a protocol and port."""

    _fields_ = (
        ("protocol", c.c_uint8),
        ("side", c.c_uint8),
        ("port", c.c_uint8 * 2),
        ("value", c.c_uint32),
    )


class Level(c.LittleEndianStructure):
    """One window of pressure."""

    _fields_ = (
        ("begin_ns", c.c_uint64),
        ("hold_us", c.c_uint32),
        ("ramp_us", c.c_uint32),
        ("refill_us", c.c_uint32),
        ("level_milli", c.c_uint32),
        ("demand", c.c_uint32),
        ("drain", c.c_uint32),
    )


class Ballast(c.LittleEndianStructure):
    """Pages to leave above the high watermark."""

    _fields_ = (("above", c.c_uint32), ("unused", c.c_uint32))


class Connect(c.LittleEndianStructure):
    """The block device over NBD."""

    _fields_ = (
        ("address", c.c_uint8 * 4),
        ("port", c.c_uint8 * 2),
        ("timeout_s", c.c_uint16),
        ("send_buffer", c.c_uint32),
        ("connect_ms", c.c_uint32),
        ("export_name", c.c_char * 32),
    )


class Login(c.LittleEndianStructure):
    """The block device over iSCSI."""

    _fields_ = (
        ("address", c.c_uint8 * 4),
        ("port", c.c_uint8 * 2),
        ("login_timeout_s", c.c_uint16),
        ("noop_interval_s", c.c_uint16),
        ("noop_timeout_s", c.c_uint16),
        ("replacement_timeout_s", c.c_int32),
        ("initiator", c.c_char * 64),
        ("target", c.c_char * 64),
        ("user", c.c_char * 80),
        ("secret", c.c_char * 32),
    )


class Nvme(c.LittleEndianStructure):
    """The block device over NVMe/TCP."""

    _fields_ = (
        ("address", c.c_uint8 * 4),
        ("port", c.c_uint8 * 2),
        ("unused", c.c_uint16),
        ("subsystem", c.c_char * 64),
        ("host", c.c_char * 64),
    )


class Write(c.LittleEndianStructure):
    """Writers that begin or end."""

    _fields_ = (
        ("writers", c.c_uint32),
        ("pause_us", c.c_uint32),
        ("blocks", c.c_uint32),
        ("node", c.c_uint16),
        ("incarnation", c.c_uint16),
        ("first_block", c.c_uint64),
        ("range_blocks", c.c_uint64),
    )


class Swap(c.LittleEndianStructure):
    """Swap on the block device."""

    _fields_ = (("pages", c.c_uint32), ("unused", c.c_uint32))


class Dirty(c.LittleEndianStructure):
    """Pages of the normal task."""

    _fields_ = (("pages", c.c_uint32), ("form", c.c_uint32), ("first_block", c.c_uint64))


class Neighbour(c.LittleEndianStructure):
    """Hardware address of a neighbour; zeros delete the entry."""

    _fields_ = (
        ("address", c.c_uint8 * 4),
        ("mac", c.c_uint8 * 6),
        ("unused", c.c_uint8 * 6),
    )


class Sink(c.LittleEndianStructure):
    """A socket whose reader does not read; port 0 closes it."""

    _fields_ = (("port", c.c_uint8 * 2), ("unused", c.c_uint16), ("receive_buffer", c.c_uint32))


class Reserve(c.LittleEndianStructure):
    """Another min_free_kbytes."""

    _fields_ = (("kib", c.c_uint32), ("unused", c.c_uint32))


class Send(c.LittleEndianStructure):
    """A datagram and whom it is for; the payload follows."""

    _fields_ = (
        ("bytes", c.c_uint16),
        ("port", c.c_uint8 * 2),
        ("targets", c.c_uint32),
        ("to", c.c_uint8 * 4 * MAX_TARGETS),
    )


class Done(c.LittleEndianStructure):
    """What came of a command."""

    _fields_ = (("result", c.c_int64), ("value", c.c_uint64), ("at_ns", c.c_uint64))


class Sent(c.LittleEndianStructure):
    """What came of a datagram; bit n of ``reached``: the kernel took it for target n."""

    _fields_ = (
        ("reached", c.c_uint32),
        ("error", c.c_int32),
        ("begun_ns", c.c_uint64),
        ("at_ns", c.c_uint64),
    )


class Received(c.LittleEndianStructure):
    """A datagram that came; the payload follows."""

    _fields_ = (
        ("from_", c.c_uint8 * 4),
        ("port", c.c_uint8 * 2),
        ("bytes", c.c_uint16),
        ("at_ns", c.c_uint64),
        ("read_ns", c.c_uint64),
    )


class Written(c.LittleEndianStructure):
    """A write that ended."""

    _fields_ = (
        ("sequence", c.c_uint64),
        ("block", c.c_uint64),
        ("begun_ns", c.c_uint64),
        ("at_ns", c.c_uint64),
        ("blocks", c.c_uint32),
        ("error", c.c_int32),
    )


class CorosyncLine(c.LittleEndianStructure):
    """A line of corosync's log; its text follows."""

    _fields_ = (("at_ns", c.c_uint64), ("bytes", c.c_uint32), ("unused", c.c_uint32))


class CorosyncNodes(c.LittleEndianStructure):
    """Nodes of corosync's ring, or those that are not in it any more."""

    _fields_ = (
        ("at_ns", c.c_uint64),
        ("ring", c.c_uint64),
        ("quorate", c.c_uint32),
        ("nodes", c.c_uint32),
        ("ids", c.c_uint32 * MAX_TARGETS),
    )


class CorosyncPackets(c.LittleEndianStructure):
    """Packets to and from one peer since the boot."""

    _fields_ = (
        ("at_ns", c.c_uint64),
        ("peer", c.c_uint32),
        ("unused", c.c_uint32),
        ("sent", c.c_uint64),
        ("received", c.c_uint64),
    )
