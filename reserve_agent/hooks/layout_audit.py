"""The structures of ``crunchbed.h`` that only an audit reads, for ctypes; see ``layout``."""

from __future__ import annotations

import ctypes as c

AUDIT_ETHER_TYPES = 16


class EtherType(c.Structure):
    """``struct cb_ether_type``."""

    _fields_ = (("type", c.c_uint64), ("packets", c.c_uint64))


class Protocols(c.Structure):
    """``struct cb_protocols``, one per processor."""

    _fields_ = (
        ("ipv4", c.c_uint64 * 256),
        ("ipv6", c.c_uint64 * 256),
        ("unnamed", c.c_uint64),
        ("others", EtherType * AUDIT_ETHER_TYPES),
    )


class SocketRecord(c.Structure):
    """``struct cb_socket_record``."""

    _fields_ = (
        ("inode", c.c_uint64),
        ("write_queue_bytes", c.c_uint64),
        ("pool_pages", c.c_uint64),
        ("reserve_pages", c.c_uint64),
        ("flags", c.c_uint32),
        ("closed", c.c_uint32),
        ("family", c.c_uint16),
        ("protocol", c.c_uint16),
        ("local_port", c.c_uint16),
        ("remote_port", c.c_uint16),
        ("local", c.c_uint8 * 16),
        ("remote", c.c_uint8 * 16),
        ("state", c.c_uint8),
        ("pad", c.c_uint8 * 7),
    )
