"""The option structures of libbpf and of the system call ``bpf`` that we fill in, for ctypes.

Each begins with its own size, ``sz``; libbpf takes fields beyond that size as zero.
"""

from __future__ import annotations

import ctypes as c


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
        ("flags", c.c_uint32),
        ("prog_id", c.c_uint32),
        ("handle", c.c_uint32),
        ("priority", c.c_uint32),
    )


class TestRunOptions(c.Structure):
    """``struct bpf_test_run_opts``."""

    _fields_ = (
        ("sz", c.c_size_t),
        ("data_in", c.c_void_p),
        ("data_out", c.c_void_p),
        ("data_size_in", c.c_uint32),
        ("data_size_out", c.c_uint32),
        ("ctx_in", c.c_void_p),
        ("ctx_out", c.c_void_p),
        ("ctx_size_in", c.c_uint32),
        ("ctx_size_out", c.c_uint32),
        ("retval", c.c_uint32),
        ("repeat", c.c_int),
        ("duration", c.c_uint32),
        ("flags", c.c_uint32),
        ("cpu", c.c_uint32),
        ("batch_size", c.c_uint32),
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
        ("iter_info_len", c.c_uint32),
        ("target_btf_id", c.c_uint32),
    )


class MapInfo(c.Structure):
    """The beginning of ``struct bpf_map_info``; the kernel fills in the fields that fit."""

    _fields_ = (
        ("type", c.c_uint32),
        ("id", c.c_uint32),
        ("key_size", c.c_uint32),
        ("value_size", c.c_uint32),
    )


class SkBuff(c.Structure):
    """``struct __sk_buff`` of linux/bpf.h, the context of BPF_PROG_TEST_RUN; without a size."""

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
