// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The host hooks: where a kernel would allocate, classify and free a packet's buffer, these
 * programs keep the books of a modelled page pool and obey the policy. See docs/architecture.md. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "crunchbed.h"
#include "maps.bpf.h"
#include "pool.bpf.h"
#include "buffers.bpf.h"
#include "card.bpf.h"
#include "packet.bpf.h"
#include "policy.bpf.h"
#include "node.bpf.h"
#include "audit.bpf.h"
#include "transmit.bpf.h"
#include "receive.bpf.h"
#include "wire.bpf.h"

#define TC_ACT_OK 0
#define TC_ACT_SHOT 2
#define CAP_NET_ADMIN 12

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* The driver's receive buffer. Whoever has no socket is judged here as well. */
SEC("tc")
int cb_receive(struct __sk_buff *skb)
{
	__u32 bytes = skb->len, slot = 0, held;
	struct taken taken = {};
	struct packet packet;
	struct cb_node s;
	bool refused, open;
	__u64 now;

	if (!get_pool(&s))
		return TC_ACT_OK;
	cb_parse_frame(skb, &packet);
	if (s.config->losing && wire_loses(skb, s.config, &packet))
		taken.reason = REASON_LOST;
	else
		count_protocol(skb, &packet);
	if (taken.reason != REASON_LOST && is_unbooked(s.pool, s.config)) {
		taken.pages = fixed.buffers ? 0 : buffer_pages(bytes);
		count(skb, HOOK_RECEIVE, packet.cls, REASON_GRANTED, taken.pages);
		held = packet.fragment ? 0 : fixed.buffers ? 1 : taken.pages & 0xff;
		skb->mark = held << MARK_PAGES_SHIFT | packet.cls;
		return TC_ACT_OK;
	}
	if (!get_books(&s))
		return TC_ACT_OK;
	now = clock_of(skb);
	refused = refuses_protocol(s.config, &packet);

	bpf_spin_lock(s.lock);
	advance(&s, now);
	open = reserve_is_open(s.pool, s.config);
	if (taken.reason == REASON_LOST)
		; /* it never came */
	else if (fixed.buffers)
		take_from_card(&s, bytes, open, &taken);
	else
		take_whole(&s, bytes, open, &taken);
	if (taken.reason == REASON_GRANTED) {
		taken.reason = judge_received(&s, &packet, refused, taken.from_reserve);
		if (taken.reason == REASON_GRANTED) {
			slot = hold(&s, &taken);
		} else if (taken.origin) {
			card_drop(s.pool, taken.origin, 1);
			account(s.pool, s.log, s.pool->now);
		}
	}
	bpf_spin_unlock(s.lock);

	if (taken.reason != REASON_GRANTED) {
		report_drop(&s, skb, &packet, HOOK_RECEIVE, taken.reason, taken.pages);
		return TC_ACT_SHOT;
	}
	count(skb, HOOK_RECEIVE, packet.cls,
	      taken.from_reserve ? REASON_FROM_RESERVE : REASON_GRANTED, taken.pages);
	/* A fragment's buffer waits for its datagram: its pages leave by the clock alone. */
	held = taken.origin ? 1 : taken.pages & 0xff;
	skb->mark = (taken.from_reserve ? MARK_FROM_RESERVE : 0) | slot << MARK_SLOT_SHIFT |
		    taken.origin << MARK_ORIGIN_SHIFT |
		    (packet.fragment ? 0 : MARK_CHARGED | held << MARK_PAGES_SHIFT) | packet.cls;
	return TC_ACT_OK;
}

/* The protocol handler after socket lookup. Returns 1 to deliver, 0 to drop. */
SEC("cgroup_skb/ingress")
int cb_deliver(struct __sk_buff *skb)
{
	__u32 mark = skb->mark, pages = mark >> MARK_PAGES_SHIFT & 0xff;
	bool from_reserve = mark & MARK_FROM_RESERVE, charged = mark & MARK_CHARGED, matters;
	struct cb_socket *socket;
	struct packet packet;
	__u8 reason = REASON_GRANTED;
	struct cb_node s;

	/* Loopback and anything else that no receive hook has seen is not ours to judge. */
	if (!(pages || from_reserve) || !get_node(&s))
		return 1;
	socket = receiving_socket(skb);
	/* Without pressure no policy says no, and the buffer goes the way that receive put it on. What
	 * receive has not booked is not kept here either. */
	matters = charged && (!pool_calm(s.pool, s.config) ||
			      (socket && (socket->flags & SOCK_STALLED)));
	if (from_reserve || s.pool->emergency || matters)
		reason = settle(&s, socket, mark, charged ? pages : 0, clock_of(skb));

	if (reason != REASON_GRANTED) {
		cb_parse_packet(skb, &packet);
		packet.cls = mark & MARK_CLASS_MASK;
		report_drop(&s, skb, &packet, HOOK_DELIVER, reason, pages);
		return 0;
	}
	count(skb, HOOK_DELIVER, mark & MARK_CLASS_MASK, from_reserve ? REASON_FROM_RESERVE : REASON_GRANTED,
	      pages);
	if (socket && socket->tx_started)
		acknowledge(&s, skb, socket);
	return 1;
}

/* The driver's transmit buffer. Writeback and memalloc sockets may go to the bottom of the
 * reserve; anybody else stalls at its mark, which on a wire looks like a packet not sent. */
SEC("tc")
int cb_transmit(struct __sk_buff *skb)
{
	__u32 pages, request;
	struct cb_socket *socket;
	__u8 reason = REASON_GRANTED;
	__u64 now, floor, need;
	struct growth growth = {};
	struct segment segment;
	bool streamed, roomy;
	struct packet packet;
	struct cb_node s;

	if (!get_pool(&s))
		return TC_ACT_OK;
	cb_parse_frame(skb, &packet);
	read_segment(skb, &packet, &segment);
	pages = transmit_pages(s.pool, skb->len);
	if (!segment.bytes && pool_roomy(s.pool, s.config, pages)) {
		count(skb, HOOK_TRANSMIT, packet.cls, REASON_GRANTED, pages);
		return TC_ACT_OK;
	}
	socket = sending_socket(skb);
	streamed = segment.bytes && socket && !socket->closed;
	roomy = streamed && stream_roomy(s.pool, s.config, socket, &segment);
	if (roomy && stream_is_charged(socket, &segment)) {
		count(skb, HOOK_TRANSMIT, packet.cls, REASON_GRANTED, 0);
		return TC_ACT_OK;
	}
	if (!get_books(&s))
		return TC_ACT_OK;
	/* Advancing to 0 changes nothing. */
	now = roomy ? 0 : clock_of(skb);

	bpf_spin_lock(s.lock);
	advance(&s, now);
	request = transmit_request(socket, s.config, packet.cls, streamed);
	floor = s.pool->floor[request & (FLOORS - 1)];
	need = pages;
	if (streamed) {
		stream_begin(s.pool, socket, &segment);
		stream_growth(socket, &segment, &growth);
		need = growth.need;
	}
	if (s.pool->free < floor + need && need) {
		reason = transmit_refusal(s.pool, request, floor);
	} else if (streamed) {
		need = stream_charge(s.pool, socket, &segment, &growth, floor);
		account(s.pool, s.log, s.pool->now);
	} else {
		if (s.pool->free - need < s.pool->low_water)
			s.pool->low_water = s.pool->free - need;
		if (s.pool->free <= floor)
			sink_head(s.pool);
	}
	bpf_spin_unlock(s.lock);

	if (reason != REASON_GRANTED) {
		report_drop(&s, skb, &packet, HOOK_TRANSMIT, reason, need);
		return TC_ACT_SHOT;
	}
	count(skb, HOOK_TRANSMIT, packet.cls, REASON_GRANTED, need);
	return TC_ACT_OK;
}

/* What the agent and the daemons do to the pool, through BPF_PROG_TEST_RUN so that every change
 * is made under the same lock. In: cb[0] = operation, cb[1], cb[2] = arguments; out: cb[3]. */
SEC("tc")
int cb_operate(struct __sk_buff *skb)
{
	__u32 op = skb->cb[0], first = skb->cb[1], second = skb->cb[2], answer = 1;
	__u64 now = clock_of(skb);
	struct cb_node s;

	if (!get_node(&s))
		return -1;
	bpf_spin_lock(s.lock);
	advance(&s, now);
	switch (op) {
	case OP_DIRTY:
		pool_dirty(s.pool, s.log, first);
		break;
	case OP_CLEAN:
		answer = pool_clean(s.pool, s.log, first);
		break;
	case OP_RESIZE:
		answer = pool_resize(s.pool, s.log, s.config, first, second);
		break;
	case OP_RESET:
		pool_reset(s.pool, s.log, s.config, first);
		if (fixed.buffers)
			card_reset(s.pool, s.log, s.config);
		break;
	case OP_EMERGENCY:
		s.pool->emergency = first;
		break;
	case OP_CALM:
		pool_give_up(s.pool, s.log);
		break;
	case OP_SWAP:
		pool_swap(s.pool, s.log, first, second);
		break;
	case OP_WAKE:
		if (fixed.buffers)
			card_wake(s.pool);
		pool_wake(s.pool, s.log);
		break;
	}
	bpf_spin_unlock(s.lock);
	skb->cb[3] = answer;
	return 0;
}

/* A closed socket gives back what its write queue held. */
SEC("cgroup/sock_release")
int cb_release(struct bpf_sock *ctx)
{
	struct cb_socket *socket = bpf_sk_storage_get(&cb_sockets, ctx, NULL, 0);
	struct cb_node s;

	if (!socket || !get_node(&s))
		return 1;
	bpf_spin_lock(s.lock);
	stream_close(s.pool, socket);
	account(s.pool, s.log, s.pool->now);
	bpf_spin_unlock(s.lock);
	return 1;
}

#include "sockopt.bpf.h"
