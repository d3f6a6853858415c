/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One object is loaded per node, so every map holds the state of one node. */
#ifndef CRUNCHBED_MAPS_H
#define CRUNCHBED_MAPS_H

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cb_pool);
} cb_pool SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cb_config);
} cb_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cb_journal);
} cb_journal SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cb_windows);
} cb_windows SEC(".maps");

struct cb_lock {
	struct bpf_spin_lock lock;
};

/* A map with a lock cannot be mapped into memory, so the lock lives apart from what it guards. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cb_lock);
} cb_lock SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cb_counters);
} cb_counters SEC(".maps");

/* Cloned, so that an accepted socket is what its listener was. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct cb_socket);
} cb_sockets SEC(".maps");

/* Stand-ins for socket storage where BPF_PROG_TEST_RUN has no socket to offer. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TEST_SOCKETS);
	__type(key, __u32);
	__type(value, struct cb_socket);
} cb_test_sockets SEC(".maps");

/* Written before loading: the profiles of kernel and card. The verifier removes the branches of all
 * others, and those of `testing`: the clock is then skb->tstamp and a socket is an entry of
 * cb_test_sockets, for the differential test. */
const volatile struct cb_constants fixed = {};

#endif
