/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A kernel's receive buffers with its network card: pieces of pages, heads, and the ring. Runs with
 * the pool's lock held and mirrors reserve_agent/model/pieces.py and card_buffers.py. The reference
 * goes piece by piece; here, with the same outcome, pages of one kind are cut together, and equal
 * buffers are one run of the ring. Who calls accounts for what was lent before anything is given
 * back. */
#ifndef CRUNCHBED_BUFFERS_H
#define CRUNCHBED_BUFFERS_H

#define FILL_ROUNDS 5 /* what is left, fragments, pages, pages from the reserve, nothing */

/* Pages for the stock in units, at most `want`, while `floor` pages stay free; returns the units. */
INLINE __u64 lend(struct cb_pool *pool, __u64 want, __u32 unit, __u64 floor)
{
	__u64 room = pool->free > floor ? pool->free - floor : 0;

	if (want * unit > room)
		want = unit == 1 ? room : room / unit;
	pool->free -= want * unit;
	pool->stock += want * unit;
	return want;
}

INLINE void take_back(struct cb_pool *pool, __u64 pages)
{
	pool->stock -= pages;
	pool->free += pages;
}

/* Cut what `count` more pieces need, or as much of it as there is of one kind. */
INLINE bool cut(struct cb_pool *pool, struct cb_pieces *pieces,
		const volatile struct cb_cut *size, bool memalloc, __u64 count)
{
	__u64 floor = pool->floor[memalloc ? REQUEST_MEMALLOC : REQUEST_ATOMIC];
	__u64 mark = pool->floor[fixed.from_reserve & (FLOORS - 1)], want, got;
	__u32 kind = size->single;

	if (size->per_fragment) {
		want = (count + size->per_fragment - 1) / size->per_fragment;
		got = lend(pool, want, size->fragment_pages, pool->floor[REQUEST_FRAGMENT]);
		if (got) {
			pieces->kind = ORIGIN_FRAGMENT;
			pieces->left = got * size->per_fragment;
			pieces->pages += got * size->fragment_pages;
			return true;
		}
	}
	want = count == 1 ? 1 : (count + size->per_page - 1) / size->per_page;
	got = lend(pool, want, 1, mark > floor ? mark : floor);
	if (!got) {
		got = lend(pool, want, 1, floor);
		kind |= KIND_RESERVE;
	}
	if (!got)
		return false;
	pieces->kind = kind;
	pieces->left = got * size->per_page;
	pieces->pages += got;
	return true;
}

INLINE bool take_piece(struct cb_pool *pool, struct cb_pieces *pieces,
		       const volatile struct cb_cut *size, bool memalloc, __u32 *kind)
{
	if (!pieces->left && !cut(pool, pieces, size, memalloc, 1))
		return false;
	pieces->left--;
	*kind = pieces->kind;
	return true;
}

/*
 * A copy has the mark only if all that is free now is of the reserve: its memory is asked for without
 * the reserve first (kmalloc_reserve() in net/core/skbuff.c).
 */
INLINE bool take_small(struct cb_pool *pool, bool memalloc, __u32 *kind)
{
	if (!take_piece(pool, &pool->buffers.small, &fixed.small, memalloc, kind))
		return false;
	if (pool->free > pool->floor[fixed.from_reserve & (FLOORS - 1)])
		*kind &= ~KIND_RESERVE;
	return true;
}

/* Pages come back by count: as soon as as many pieces are free as a page, or a fragment, has. */
INLINE void give_pieces(struct cb_pool *pool, struct cb_pieces *pieces,
			const volatile struct cb_cut *size, bool fragment, __u32 count)
{
	__u32 each = fragment ? size->per_fragment : size->per_page, units;
	__u32 free = (fragment ? pieces->free_fragments : pieces->free_singles) + count;

	if (free >= each) {
		units = free / each;
		free -= units * each;
		if (fragment)
			units *= size->fragment_pages;
		pieces->pages -= units;
		take_back(pool, units);
	}
	if (fragment)
		pieces->free_fragments = free;
	else
		pieces->free_singles = free;
}

/* `count` buffers are free again; those of RING stay in the ring, and WHOLE is none. */
INLINE void give(struct cb_pool *pool, __u32 origin, __u32 count)
{
	struct cb_buffers *b = &pool->buffers;

	if (origin == ORIGIN_SMALL)
		give_pieces(pool, &b->small, &fixed.small, false, count);
	else if (origin == ORIGIN_PAGE || origin == ORIGIN_FRAGMENT)
		give_pieces(pool, &b->large, &fixed.large, origin == ORIGIN_FRAGMENT, count);
}

/* A page for heads is never asked for with __GFP_MEMALLOC. */
INLINE bool take_head(struct cb_pool *pool)
{
	struct cb_buffers *b = &pool->buffers;

	if (!b->heads) {
		if (!lend(pool, 1, 1, pool->floor[REQUEST_ATOMIC]))
			return false;
		b->head_pages++;
		b->heads = fixed.heads_per_page;
	}
	b->heads--;
	return true;
}

/* A page of free heads beyond those kept goes back. */
INLINE void give_heads(struct cb_pool *pool, __u32 count)
{
	__u64 heads = pool->buffers.heads + count, pages;
	__u64 most = fixed.heads_at_hand + 2 * fixed.heads_per_page;

	if (heads >= most) {
		pages = (heads - most) / fixed.heads_per_page + 1;
		heads -= pages * fixed.heads_per_page;
		pool->buffers.head_pages -= pages;
		take_back(pool, pages);
	}
	pool->buffers.heads = heads;
}

INLINE void ring_push(struct cb_buffers *b, __u32 kind, __u32 count)
{
	__u32 end = b->first + b->runs;
	__u16 *last = &b->run[(end - 1) & (MAX_RING - 1)];

	b->filled += count;
	if (kind & KIND_RESERVE)
		b->marked += count;
	if (b->runs && (*last & KIND_MASK) == kind) {
		*last += count << RUN_SHIFT;
		return;
	}
	b->run[end & (MAX_RING - 1)] = kind | count << RUN_SHIFT;
	b->runs++;
}

/* Take one buffer out of the ring, which has some: its first or its last. */
INLINE __u32 ring_take(struct cb_buffers *b, bool first)
{
	__u16 *run = &b->run[(first ? b->first : b->first + b->runs - 1) & (MAX_RING - 1)];
	__u32 kind = *run & KIND_MASK;

	*run -= 1 << RUN_SHIFT;
	b->filled--;
	b->marked -= !!(kind & KIND_RESERVE);
	if (!(*run >> RUN_SHIFT)) {
		b->first += first;
		b->runs--;
	}
	return kind;
}

/* Whether a buffer for the ring is asked for with __GFP_MEMALLOC. */
INLINE bool ring_asks(bool memalloc)
{
	return fixed.asks == ASKS_ALWAYS || (fixed.asks == ASKS_FLAGGED && memalloc);
}

/* Fill empty slots; false at the first that there is no buffer for. */
INLINE bool ring_fill(struct cb_pool *pool, bool memalloc)
{
	bool asks = ring_asks(memalloc);
	struct cb_buffers *b = &pool->buffers;

	for (int i = 0; i < FILL_ROUNDS; i++) {
		__u32 count = fixed.ring - b->filled;

		if (!count)
			return true;
		if (!b->large.left && !cut(pool, &b->large, &fixed.large, asks, count))
			return false;
		if (count > b->large.left)
			count = b->large.left;
		ring_push(b, b->large.kind, count);
		b->large.left -= count;
	}
	return b->filled == fixed.ring;
}

INLINE void ring_refill(struct cb_pool *pool, bool memalloc)
{
	struct cb_buffers *b = &pool->buffers;

	if (fixed.ring - b->filled < fixed.batch)
		return;
	if (!ring_fill(pool, memalloc) && fixed.refill == REFILL_OR_DEAF) {
		b->deaf = 1;
		b->retry_at = pool->now + fixed.retry_ns;
	}
}

/* The ring's next buffer, and what the driver does about its slot. */
INLINE bool take_from_ring(struct cb_pool *pool, bool memalloc, __u32 *kind)
{
	struct cb_buffers *b = &pool->buffers;
	__u32 fresh;

	if (fixed.refill == REFILL_EACH) {
		if (!take_piece(pool, &b->large, &fixed.large,
				ring_asks(memalloc), &fresh))
			return false;
		ring_push(b, fresh, 1);
		*kind = ring_take(b, true);
		return true;
	}
	if (!b->filled)
		ring_fill(pool, memalloc);
	if (!b->filled)
		return false;
	*kind = ring_take(b, true);
	if (fixed.refill == REFILL_RECYCLED && !(*kind & KIND_RESERVE)) {
		ring_push(b, *kind, 1);
		*kind = ORIGIN_RING;
		return true;
	}
	ring_refill(pool, memalloc);
	return true;
}

#endif
