/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The page pool. Everything here runs with the pool's lock held and mirrors
 * reserve_agent/model/pool.py line by line: change both, the differential test compares them. */
#ifndef CRUNCHBED_POOL_H
#define CRUNCHBED_POOL_H

#define INLINE static __always_inline
/* Memory is read anew from here on: the verifier, which follows every way through the branches
 * before, then goes on in one state for all of them. */
#define FORGET() asm volatile("" ::: "memory")

INLINE void journal(struct cb_pool *pool, struct cb_journal *log, __u64 t, __u16 kind, __u64 value)
{
	struct cb_journal_entry *entry = &log->entries[pool->journal_head & (JOURNAL_ENTRIES - 1)];

	entry->t = t;
	entry->value = value;
	entry->tag = 0;
	entry->kind = kind;
	entry->reason = 0;
	entry->hook = 0;
	entry->cls = 0;
	pool->journal_head++;
}

/* Take what is free above a level; returns how many pages. */
INLINE __u64 squeeze(struct cb_pool *pool, __u64 level)
{
	__u64 taken = pool->free > level ? pool->free - level : 0;

	pool->squeezed += taken;
	pool->free -= taken;
	return taken;
}

INLINE void release(struct cb_pool *pool)
{
	pool->free += pool->squeezed;
	pool->squeezed = 0;
}

/* Tasks that stall take what is above the mark before anybody sees it: everything while a window
 * lasts, what they asked for otherwise. */
INLINE void feed(struct cb_pool *pool)
{
	__u64 taken, room, granted;

	if (pool->in_window) {
		squeeze(pool, fixed.buffers ? pool->hold_level : pool->reserve);
		return;
	}
	if (fixed.buffers && pool->wanted) {
		taken = squeeze(pool, pool->swap_level);
		pool->wanted -= taken < pool->wanted ? taken : pool->wanted;
		if (pool->wanted)
			return;
		release(pool);
	}
	if (pool->free <= pool->reserve)
		return;
	room = pool->free - pool->reserve;
	granted = pool->demand > room ? room : pool->demand;
	pool->demand -= granted;
	pool->dirty += granted;
	pool->free -= granted;
}

/* Notice the beginning or end of pressure. A stalled reader runs when the pressure ends. */
INLINE void notice_pressure(struct cb_pool *pool, struct cb_journal *log, __u64 t)
{
	__u64 lasted;

	if (pool->free < pool->low_water)
		pool->low_water = pool->free;
	if (pool->free <= pool->reserve) {
		if (pool->pressure)
			return;
		pool->pressure = 1;
		pool->pressure_since = t;
		pool->pressure_episodes++;
		journal(pool, log, t, ENTRY_PRESSURE_BEGIN, pool->free);
		return;
	}
	if (!pool->pressure)
		return;
	pool->pressure = 0;
	pool->sunk = 0;
	lasted = t - pool->pressure_since;
	pool->pressure_ns += lasted;
	if (lasted > pool->pressure_longest_ns)
		pool->pressure_longest_ns = lasted;
	pool->free += pool->rx_stalled;
	pool->rx_stalled = 0;
	journal(pool, log, t, ENTRY_PRESSURE_END, pool->pressure_since);
}

INLINE void account(struct cb_pool *pool, struct cb_journal *log, __u64 t)
{
	FORGET();
	if (!pool->total)
		return; /* not sized yet */
	feed(pool);
	FORGET();
	notice_pressure(pool, log, t);
	FORGET();
}

/* Turn the wheel to `tick`; returns the pages whose readers are done. */
INLINE __u64 wheel_turn(struct cb_wheel *wheel, __u64 tick)
{
	__u64 steps = tick - wheel->tick, done = 0;

	if (tick <= wheel->tick)
		return 0;
	if (!wheel->pages) {
		wheel->tick = tick;
		return 0;
	}
	for (int i = 1; i <= WHEEL_SLOTS; i++) {
		__u32 slot = (wheel->tick + i - WHEEL_LIFE) & (WHEEL_SLOTS - 1);

		if (i > steps)
			break;
		done += wheel->slot[slot];
		wheel->slot[slot] = 0;
	}
	wheel->pages -= done;
	wheel->tick = tick;
	return done;
}

INLINE void wheel_put(struct cb_wheel *wheel, __u32 pages)
{
	wheel->slot[wheel->tick & (WHEEL_SLOTS - 1)] += pages;
	wheel->pages += pages;
}

/* Take pages back out of a slot; false when that slot has been emptied since. */
INLINE bool wheel_take(struct cb_wheel *wheel, __u32 slot, __u32 pages)
{
	slot &= WHEEL_SLOTS - 1;
	if (wheel->slot[slot] < pages)
		return false;
	wheel->slot[slot] -= pages;
	wheel->pages -= pages;
	return true;
}

INLINE void pass_windows(struct cb_pool *pool, struct cb_journal *log,
			 const struct cb_config *config, const struct cb_window *windows)
{
	for (int i = 0; i < WINDOWS_PER_STEP; i++) {
		const struct cb_window *window;

		if (pool->window >= config->windows)
			break;
		window = &windows[pool->window & (MAX_WINDOWS - 1)];
		if (!pool->in_window) {
			if (pool->now < window->start)
				break;
			pool->in_window = 1;
			pool->hold_level = window->level;
			squeeze(pool, window->level);
			account(pool, log, window->start);
		}
		if (pool->now < window->end)
			break;
		pool->in_window = 0;
		pool->window++;
		release(pool);
		account(pool, log, window->end);
	}
}

/* No pressure that could end and no window that could begin: whatever the time does to the pool,
 * the next operation that has a use for it finds the same. Asked without the lock as well; the
 * packet then came just before whoever holds it. */
INLINE bool pool_calm(const struct cb_pool *pool, const struct cb_config *config)
{
	return !pool->pressure && pool->window >= config->windows;
}

/* Calm and far from R: who comes is counted and not booked. What such packets hold is at most what
 * lies between R and the border. Asked without the lock, too. Mirrors NodeModel.unbooked. */
INLINE bool pool_far(const struct cb_pool *pool, const struct cb_config *config)
{
	return pool->free > pool->border && pool_calm(pool, config);
}

/* Mirrors reserve_agent/model/border.py. */
INLINE __u64 margin(const struct cb_config *config)
{
	return ((__u64)WHEEL_LIFE << (config->service_shift & 63)) / fixed.ns_per_page + 1;
}

/* Calm, and still calm with `pages` fewer, which nobody would notice: far from R, or no new low. */
INLINE bool pool_roomy(const struct cb_pool *pool, const struct cb_config *config, __u64 pages)
{
	return pool_calm(pool, config) && pool->free > pool->reserve + pages &&
	       (pool->free > pool->border + pages || pool->free >= pool->low_water + pages);
}

/* Bring the pool to `now`: readers that are done, then windows that have begun or ended. */
INLINE void pool_advance(struct cb_pool *pool, struct cb_journal *log,
			 const struct cb_config *config, const struct cb_window *windows,
			 __u64 now)
{
	if (now > pool->now)
		pool->now = now;
	pool->free += wheel_turn(&pool->running, pool->now >> (config->service_shift & 63));
	pass_windows(pool, log, config, windows);
	account(pool, log, pool->now);
}

/* Normal tasks ask for pages to dirty; what does not fit above the reserve waits. */
INLINE void pool_dirty(struct cb_pool *pool, struct cb_journal *log, __u32 pages)
{
	pool->demand += pages;
	account(pool, log, pool->now);
}

/* Tasks that leave `level` pages free want more, which others must write first: 5/4 are dirty. */
INLINE void pool_swap(struct cb_pool *pool, struct cb_journal *log, __u32 pages, __u32 level)
{
	__u64 dirtied = (__u64)pages + pages / 4, all = pool->free + pool->clean, of_free;

	if (dirtied > all)
		dirtied = all;
	of_free = dirtied < pool->free ? dirtied : pool->free;
	pool->free -= of_free;
	pool->clean -= dirtied - of_free;
	pool->dirty += dirtied;
	squeeze(pool, level);
	pool->wanted += pages;
	pool->swap_level = level;
	account(pool, log, pool->now);
}

/* Tasks that wait for pages give up. */
INLINE void pool_give_up(struct cb_pool *pool, struct cb_journal *log)
{
	pool->demand = 0;
	if (pool->wanted && !pool->in_window)
		release(pool);
	pool->wanted = 0;
	account(pool, log, pool->now);
}

/* Acknowledged writes turn their pages clean and free. */
INLINE __u32 pool_clean(struct cb_pool *pool, struct cb_journal *log, __u32 pages)
{
	__u32 cleaned = pages < pool->dirty ? pages : pool->dirty;

	pool->dirty -= cleaned;
	pool->free += cleaned;
	account(pool, log, pool->now);
	return cleaned;
}

/* New total and reserve; refused (0) when the pages in use would not fit. */
INLINE __u32 pool_resize(struct cb_pool *pool, struct cb_journal *log,
			 const struct cb_config *config, __u32 total, __u32 reserve)
{
	__u64 used = pool->total - pool->free;

	if (total < used || reserve >= total)
		return 0;
	if (!pool->total)
		pool->low_water = total;
	pool->free = total - used;
	pool->total = total;
	pool->reserve = reserve;
	pool->border = reserve + margin(config);
	for (int i = 0; i < FLOORS; i++) {
		const volatile struct cb_share *share = &fixed.floors[i];

		pool->floor[i] = (__u64)reserve * share->numerator / share->denominator;
	}
	account(pool, log, pool->now);
	return 1;
}

/* Readers that did not read do so at last. */
INLINE void pool_wake(struct cb_pool *pool, struct cb_journal *log)
{
	pool->free += pool->hoarded;
	pool->hoarded = 0;
	pool->wakes++;
	account(pool, log, pool->now);
}

/* A rebooted node: nothing dirty, no buffer held, the same size and the same base of tasks. The
 * tasks whose windows were still to come are gone as well. */
INLINE void pool_reset(struct cb_pool *pool, struct cb_journal *log,
		       const struct cb_config *config, __u32 clean)
{
	pool->generation++;
	pool->clean = clean < pool->total ? clean : pool->total;
	pool->free = pool->total - pool->clean;
	pool->dirty = 0;
	pool->demand = 0;
	pool->wanted = 0;
	pool->squeezed = 0;
	pool->in_window = 0;
	pool->window = config->windows;
	pool->rx_stalled = 0;
	pool->hoarded = 0;
	pool->stock = 0;
	pool->sunk = 0;
	pool->flagged = 0;
	pool->keepers = 0;
	pool->wakes++;
	pool->tx = 0;
	pool->emergency = 0;
	pool->softnet_backlog_ns = 0;
	pool->softnet_throttled = 0;
	__builtin_memset(pool->running.slot, 0, sizeof(pool->running.slot));
	pool->running.pages = 0;
	account(pool, log, pool->now);
}

#endif
