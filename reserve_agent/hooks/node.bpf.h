/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Getting at the node's state, counting verdicts, writing drops to the journal. */
#ifndef CRUNCHBED_NODE_H
#define CRUNCHBED_NODE_H

struct cb_node {
	struct cb_pool *pool;
	struct cb_config *config;
	struct cb_journal *log;
	struct cb_window *windows;
	struct bpf_spin_lock *lock;
};

/* What a packet needs that is not booked. */
INLINE bool get_pool(struct cb_node *s)
{
	__u32 zero = 0;

	s->pool = bpf_map_lookup_elem(&cb_pool, &zero);
	s->config = bpf_map_lookup_elem(&cb_config, &zero);
	return s->pool && s->config;
}

/* The rest of it. */
INLINE bool get_books(struct cb_node *s)
{
	struct cb_windows *windows;
	struct cb_lock *lock;
	__u32 zero = 0;

	s->log = bpf_map_lookup_elem(&cb_journal, &zero);
	windows = bpf_map_lookup_elem(&cb_windows, &zero);
	lock = bpf_map_lookup_elem(&cb_lock, &zero);
	if (!s->log || !windows || !lock)
		return false;
	s->windows = windows->entries;
	s->lock = &lock->lock;
	return true;
}

INLINE bool get_node(struct cb_node *s)
{
	return get_pool(s) && get_books(s);
}

/* Bring the node to `now`: its pool, then its card's buffers whose readers are done. */
INLINE void advance(struct cb_node *s, __u64 now)
{
	pool_advance(s->pool, s->log, s->config, s->windows, now);
	if (fixed.buffers)
		card_turn(s->pool, s->log, s->config);
}

INLINE __u64 clock_of(struct __sk_buff *skb)
{
	return fixed.testing ? skb->tstamp : bpf_ktime_get_ns();
}

INLINE struct cb_socket *test_socket(struct __sk_buff *skb)
{
	__u32 index = skb->priority;

	return bpf_map_lookup_elem(&cb_test_sockets, &index);
}

INLINE struct cb_socket *receiving_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (fixed.testing)
		return test_socket(skb);
	if (!sk)
		return NULL;
	return bpf_sk_storage_get(&cb_sockets, sk, NULL, 0);
}

INLINE struct cb_socket *sending_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (fixed.testing)
		return test_socket(skb);
	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return NULL;
	return bpf_sk_storage_get(&cb_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
}

/* Counts frames as they are on the wire: a buffer that is yet to be segmented is several. */
INLINE void count(struct __sk_buff *skb, __u8 hook, __u8 cls, __u8 reason, __u32 pages)
{
	__u32 index = hook << COUNTER_HOOK_SHIFT | cls << COUNTER_CLASS_SHIFT | reason;
	struct cb_counters *counters;
	__u32 zero = 0;

	counters = bpf_map_lookup_elem(&cb_counters, &zero);
	if (!counters)
		return;
	index &= COUNTER_ENTRIES - 1;
	counters->by[index].packets += skb->gso_segs > 1 ? skb->gso_segs : 1;
	counters->by[index].pages += pages;
}

/* Count a drop and, for the classes whose loss somebody will ask about, write it down. */
INLINE void report_drop(struct cb_node *s, struct __sk_buff *skb, const struct packet *packet,
			__u8 hook, __u8 reason, __u32 pages)
{
	struct cb_journal_entry *entry;
	__u64 tag;

	count(skb, hook, packet->cls, reason, pages);
	if (packet->cls == CLASS_OTHER)
		return;
	tag = payload_tag(skb, packet);
	bpf_spin_lock(s->lock);
	entry = &s->log->entries[s->pool->journal_head & (JOURNAL_ENTRIES - 1)];
	entry->t = s->pool->now;
	entry->value = pages;
	entry->tag = tag;
	entry->source = packet->source;
	entry->destination = packet->destination;
	entry->kind = ENTRY_DROP;
	entry->hook = hook;
	entry->reason = reason;
	entry->cls = packet->cls;
	s->pool->journal_head++;
	bpf_spin_unlock(s->lock);
}

#endif
