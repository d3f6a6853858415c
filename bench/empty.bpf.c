// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Programs that do nothing, for what BPF_PROG_TEST_RUN itself costs, and programs that do one thing
 * that the hooks cannot do without. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "crunchbed.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct cb_lock {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cb_lock);
} a_lock SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} sockets SEC(".maps");

SEC("tc")
int empty_tc(struct __sk_buff *skb)
{
	return 0;
}

SEC("cgroup_skb/ingress")
int empty_cgroup_skb(struct __sk_buff *skb)
{
	return 1;
}

SEC("tc")
int clock(struct __sk_buff *skb)
{
	return bpf_ktime_get_ns() == 0;
}

SEC("tc")
int lock(struct __sk_buff *skb)
{
	struct cb_lock *one;
	__u32 zero = 0;

	one = bpf_map_lookup_elem(&a_lock, &zero);
	if (!one)
		return 0;
	bpf_spin_lock(&one->lock);
	skb->mark++;
	bpf_spin_unlock(&one->lock);
	return 0;
}

SEC("tc")
int storage(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	return !bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
}
