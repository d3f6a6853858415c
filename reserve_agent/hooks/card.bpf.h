/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a driver does with its buffers when packets arrive, are dropped, read or kept. Runs with the
 * pool's lock held and mirrors reserve_agent/model/card_buffers.py. */
#ifndef CRUNCHBED_CARD_H
#define CRUNCHBED_CARD_H

/* Packets are gone: their heads and their buffers are free. */
INLINE void card_drop(struct cb_pool *pool, __u32 origin, __u32 count)
{
	give_heads(pool, count);
	give(pool, origin, count);
}

/* A deaf driver waits for memory as a normal task, which finds none up to R. */
INLINE bool card_hears(struct cb_pool *pool)
{
	struct cb_buffers *b = &pool->buffers;

	if (fixed.refill != REFILL_OR_DEAF || !b->deaf)
		return true;
	if (pool->now < b->retry_at)
		return false;
	b->deaf = pool->free <= pool->floor[REQUEST_NORMAL] || !ring_fill(pool, false);
	b->retry_at = pool->now + fixed.retry_ns;
	return !b->deaf;
}

/* Of the two buffers that a packet was put into, the one that is not kept; 0 = none. */
INLINE bool take_with_header(struct cb_pool *pool, bool fits, bool memalloc, __u32 *kind,
			     __u32 *spare)
{
	__u32 large = 0, small = 0;
	bool has_large = take_from_ring(pool, memalloc, &large);
	bool has_small = take_small(pool, memalloc, &small);

	if (has_large && has_small) {
		*kind = ((fits ? small : large) & ~KIND_RESERVE) | (small & KIND_RESERVE);
		*spare = (fits ? large : small) & ~KIND_RESERVE;
		return true;
	}
	*spare = (has_large ? large : has_small ? small : 0) & ~KIND_RESERVE;
	return false;
}

/* The buffer that the driver has for a frame: its origin | KIND_RESERVE, or 0. */
INLINE __u32 card_take(struct cb_pool *pool, struct cb_journal *log, __u32 frame_bytes,
		       bool memalloc)
{
	bool fits = frame_bytes <= fixed.copies, got, head;
	__u32 kind = 0, spare = 0;

	head = card_hears(pool) && take_head(pool);
	if (!head)
		got = false;
	else if (fixed.needs_small)
		got = take_with_header(pool, fits, memalloc, &kind, &spare);
	else
		got = (fits && take_small(pool, memalloc, &kind)) ||
		      take_from_ring(pool, memalloc, &kind);
	account(pool, log, pool->now);
	if (spare || (head && !got)) {
		give(pool, spare, 1);
		if (head && !got)
			give_heads(pool, 1);
		account(pool, log, pool->now);
	}
	if (got && pool->sunk)
		pool->sunk--;
	return got ? kind : 0;
}

INLINE bool is_marked(const struct cb_pieces *pieces)
{
	return pieces->left && pieces->kind & KIND_RESERVE;
}

/* Whether a packet that comes and is read leaves nothing changed, where pages are free. */
INLINE bool card_rests(const struct cb_buffers *b)
{
	return fixed.ring - b->filled < fixed.batch && !b->deaf && b->heads && !b->marked &&
	       !is_marked(&b->large);
}

/* A running reader keeps the buffer for the service time; returns the slot. */
INLINE __u32 card_hold(struct cb_buffers *b, __u32 origin)
{
	__u32 slot = b->tick & (WHEEL_SLOTS - 1);

	b->slot[slot * ORIGINS + (origin & (ORIGINS - 1))]++;
	b->held++;
	return slot;
}

/* Free what running readers have read by the pool's time. */
INLINE void card_turn(struct cb_pool *pool, struct cb_journal *log, const struct cb_config *config)
{
	struct cb_buffers *b = &pool->buffers;
	__u64 tick = pool->now >> (config->service_shift & 63), steps = tick - b->tick;
	__u32 small = 0, page = 0, fragment = 0, ring = 0;

	if (tick <= b->tick)
		return;
	if (!b->held) {
		b->tick = tick;
		return;
	}
	for (int i = 1; i <= WHEEL_SLOTS; i++) {
		__u32 *slot = &b->slot[((b->tick + i - WHEEL_LIFE) & (WHEEL_SLOTS - 1)) * ORIGINS];

		if (i > steps)
			break;
		small += slot[ORIGIN_SMALL];
		page += slot[ORIGIN_PAGE];
		fragment += slot[ORIGIN_FRAGMENT];
		ring += slot[ORIGIN_RING];
		__builtin_memset(slot, 0, sizeof(*slot) * ORIGINS);
	}
	b->tick = tick;
	b->held -= small + page + fragment + ring;
	give_heads(pool, small + page + fragment + ring);
	give(pool, ORIGIN_SMALL, small);
	give(pool, ORIGIN_PAGE, page);
	give(pool, ORIGIN_FRAGMENT, fragment);
	account(pool, log, pool->now);
}

/* Dropped, or kept by a reader that does not read; a kernel's readers never wait. */
INLINE void card_settle(struct cb_pool *pool, __u32 slot, __u32 origin, bool dropped)
{
	struct cb_buffers *b = &pool->buffers;
	__u32 *held = &b->slot[(slot & (WHEEL_SLOTS - 1)) * ORIGINS + (origin & (ORIGINS - 1))];

	if (!*held)
		return;
	--*held;
	b->held--;
	if (dropped) {
		card_drop(pool, origin, 1);
		return;
	}
	if (origin == ORIGIN_RING && b->filled) {
		ring_take(b, false); /* the reader keeps the page: the ring needs another one */
		ring_refill(pool, true);
		origin = ORIGIN_PAGE;
	}
	b->hoarded[origin & (ORIGINS - 1)]++;
}

/* Readers that did not read do so at last. */
INLINE void card_wake(struct cb_pool *pool)
{
	__u32 *hoarded = pool->buffers.hoarded;

	card_drop(pool, ORIGIN_SMALL, hoarded[ORIGIN_SMALL]);
	card_drop(pool, ORIGIN_PAGE, hoarded[ORIGIN_PAGE]);
	card_drop(pool, ORIGIN_FRAGMENT, hoarded[ORIGIN_FRAGMENT]);
	card_drop(pool, ORIGIN_RING, hoarded[ORIGIN_RING]);
	__builtin_memset(hoarded, 0, sizeof(pool->buffers.hoarded));
}

/* A fresh boot: the ring is filled, and heads are at hand. */
INLINE void card_reset(struct cb_pool *pool, struct cb_journal *log,
		       const struct cb_config *config)
{
	struct cb_buffers *b = &pool->buffers;
	__u64 pages;

	__builtin_memset(b, 0, offsetof(struct cb_buffers, run));
	b->tick = pool->now >> (config->service_shift & 63);
	pages = (fixed.heads_at_hand + fixed.heads_per_page - 1) / fixed.heads_per_page;
	b->head_pages = lend(pool, pages, 1, 0);
	b->heads = b->head_pages * fixed.heads_per_page;
	ring_fill(pool, false);
	account(pool, log, pool->now);
}

/* Bytes that a packet counts for in its socket's receive buffer. */
INLINE __u32 card_truesize(__u32 origin)
{
	return fixed.head_bytes + (origin == ORIGIN_SMALL ? fixed.small_bytes : fixed.large_bytes);
}

#endif
