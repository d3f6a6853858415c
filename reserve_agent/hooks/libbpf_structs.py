"""The option structures of libbpf and of the system call ``bpf`` that we fill in, for ctypes.

Each begins with its own size, ``sz``; libbpf takes fields beyond that size as zero.
"""

from __future__ import annotations

import ctypes as c


def _u32(*names: str) -> list[tuple[str, type[c.c_uint32]]]:
    return [(name, c.c_uint32) for name in names]


class TcHook(c.Structure):
    """``struct bpf_tc_hook``: one side of an interface."""

    _fields_ = (
        ("sz", c.c_size_t),
        ("ifindex", c.c_int),
        ("attach_point", c.c_int),
        ("parent", c.c_uint32),
    )


class TcOptions(c.Structure):
    """``struct bpf_tc_opts``: one filter of an interface."""

    _fields_ = (
        ("sz", c.c_size_t),
        ("prog_fd", c.c_int),
        *_u32("flags", "prog_id", "handle", "priority"),
    )


class TestRunOptions(c.Structure):
    """``struct bpf_test_run_opts``."""

    _fields_ = (
        ("sz", c.c_size_t),
        ("data_in", c.c_void_p),
        ("data_out", c.c_void_p),
        *_u32("data_size_in", "data_size_out"),
        ("ctx_in", c.c_void_p),
        ("ctx_out", c.c_void_p),
        *_u32("ctx_size_in", "ctx_size_out", "retval"),
        ("repeat", c.c_int),
        *_u32("duration", "flags", "cpu", "batch_size"),
    )


class IterTarget(c.Structure):
    """``union bpf_iter_link_info`` for an iterator over a map; 16 bytes since Linux 5.19."""

    _fields_ = (("map_fd", c.c_uint32), ("pad", c.c_uint32 * 3))


class LinkOptions(c.Structure):
    """``struct bpf_link_create_opts`` as far as an iterator needs it."""

    _fields_ = (
        ("sz", c.c_size_t),
        ("flags", c.c_uint32),
        ("iter_info", c.c_void_p),
        *_u32("iter_info_len", "target_btf_id"),
    )


class MapInfo(c.Structure):
    """The beginning of ``struct bpf_map_info``; the kernel fills in the fields that fit."""

    _fields_ = (*_u32("type", "id", "key_size", "value_size"),)


class SkBuff(c.Structure):
    """``struct __sk_buff`` of linux/bpf.h, the context of BPF_PROG_TEST_RUN; without a size."""

    _fields_ = (
        *_u32("len", "pkt_type", "mark", "queue_mapping", "protocol"),
        *_u32("vlan_present", "vlan_tci", "vlan_proto", "priority"),
        *_u32("ingress_ifindex", "ifindex", "tc_index"),
        ("cb", c.c_uint32 * 5),
        *_u32("hash", "tc_classid", "data", "data_end", "napi_id"),
        *_u32("family", "remote_ip4", "local_ip4"),
        ("remote_ip6", c.c_uint32 * 4),
        ("local_ip6", c.c_uint32 * 4),
        *_u32("remote_port", "local_port", "data_meta"),
        ("flow_keys", c.c_uint64),
        ("tstamp", c.c_uint64),
        *_u32("wire_len", "gso_segs"),
        ("sk", c.c_uint64),
        ("gso_size", c.c_uint32),
        ("tstamp_type", c.c_uint8),
        ("hwtstamp", c.c_uint64),
    )
