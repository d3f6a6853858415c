/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A received packet's buffer, from where it is taken to where its reader has it. Mirrors
 * reserve_agent/model/buffers.py and node.py. */
#ifndef CRUNCHBED_RECEIVE_H
#define CRUNCHBED_RECEIVE_H

/* A buffer for a packet, or why there is none. */
struct taken {
	__u32 pages; /* that it took out of the pool, or for want of which it was refused */
	__u32 origin;
	__u8 reason;
	bool from_reserve;
};

/* Whether a packet that comes now is only counted. Mirrors NodeModel.unbooked. */
INLINE bool is_unbooked(const struct cb_pool *pool, const struct cb_config *config)
{
	return pool_far(pool, config) && !pool->emergency && (__s64)pool->keepers <= 0 &&
	       !config->enforce && config->policy != POLICY_SOFTNET &&
	       (!fixed.buffers || card_rests(&pool->buffers));
}

/* A buffer of whole pages; they are taken when it is held. */
INLINE void take_whole(const struct cb_node *s, __u32 frame_bytes, bool memalloc,
		       struct taken *taken)
{
	__u64 floor = s->pool->floor[memalloc ? REQUEST_MEMALLOC : REQUEST_ATOMIC];
	__u64 mark = s->pool->floor[fixed.from_reserve & (FLOORS - 1)];

	taken->pages = buffer_pages(frame_bytes);
	if (s->pool->free < floor + taken->pages)
		taken->reason = floor ? REASON_ALLOC_FAILED : REASON_RESERVE_EXHAUSTED;
	else
		taken->from_reserve = s->pool->free - taken->pages < mark;
}

/* A buffer of the card's. */
INLINE void take_from_card(struct cb_node *s, __u32 frame_bytes, bool memalloc,
			   struct taken *taken)
{
	__u64 before = s->pool->stock, after;
	__u32 kind = card_take(s->pool, s->log, frame_bytes, memalloc);

	if (!kind) {
		taken->pages = 1;
		taken->reason = memalloc && !s->pool->free ? REASON_RESERVE_EXHAUSTED :
							     REASON_ALLOC_FAILED;
		return;
	}
	after = s->pool->stock;
	taken->pages = after > before ? after - before : 0;
	taken->origin = kind & ~KIND_RESERVE;
	taken->from_reserve = kind & KIND_RESERVE;
}

/* Verdict on a packet that has its buffer. */
INLINE __u8 judge_received(struct cb_node *s, const struct packet *packet, bool refused,
			   bool from_reserve)
{
	if (s->config->policy == POLICY_SOFTNET && softnet_throttles(s->pool, s->config))
		return REASON_SOFTNET_THROTTLED;
	if (refused)
		return REASON_NOT_VM_AWARE;
	return judge_without_socket(s->pool, s->config, packet, from_reserve);
}

/* A running reader keeps the buffer for the service time; returns the slot. */
INLINE __u32 hold(struct cb_node *s, const struct taken *taken)
{
	struct cb_pool *pool = s->pool;

	if (taken->origin)
		return card_hold(&pool->buffers, taken->origin);
	pool->free -= taken->pages;
	wheel_put(&pool->running, taken->pages);
	account(pool, s->log, pool->now);
	return pool->running.tick & (WHEEL_SLOTS - 1);
}

/* What becomes of a packet that reached its socket while that mattered. */
INLINE __u8 settle(struct cb_node *s, struct cb_socket *socket, __u32 mark, __u32 pages, __u64 now)
{
	__u32 slot = mark >> MARK_SLOT_SHIFT & (WHEEL_SLOTS - 1);
	__u32 origin = mark >> MARK_ORIGIN_SHIFT & MARK_ORIGIN_MASK;
	bool hoards = socket && (socket->flags & SOCK_STALLED);
	bool from_reserve = mark & MARK_FROM_RESERVE;
	struct cb_pool *pool = s->pool;
	__u8 reason;

	bpf_spin_lock(s->lock);
	advance(s, now);
	reason = judge_socket(pool, socket, s->config, from_reserve, pages);
	if (origin && hoards && pages && reason == REASON_GRANTED)
		reason = fill_receive_buffer(pool, socket, card_truesize(origin));
	if (pages && (reason != REASON_GRANTED || hoards ||
		      (fixed.readers_stall && pool->pressure &&
		       !reader_runs(socket, s->config)))) {
		if (origin) {
			card_settle(pool, slot, origin, reason != REASON_GRANTED);
		} else if (wheel_take(&pool->running, slot, pages)) {
			if (reason != REASON_GRANTED)
				pool->free += pages;
			else if (hoards)
				pool->hoarded += pages;
			else
				pool->rx_stalled += pages;
		}
		account(pool, s->log, pool->now);
	}
	if (reason == REASON_GRANTED && from_reserve && socket)
		socket->from_reserve += pages;
	bpf_spin_unlock(s->lock);
	return reason;
}

#endif
