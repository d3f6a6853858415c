// SPDX-License-Identifier: GPL-2.0
/*
 * Pages taken out of the allocator, until a zone has exactly so many free.
 *
 * Four things stand between alloc_pages() and an exact number: the boost of the watermark, per-CPU
 * lists, HIGHATOMIC blocks, and the fall back to a lower zone.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/vmstat.h>

#include "compat.h"
#include "crunchbed.h"

/* Who asks for a zone that is short gets a page of a lower one: so take the lower ones first. */
static const struct {
	enum zone_type type;
	gfp_t flag;
} zones[CB_NR_ZONES] = {
	{ ZONE_DMA, __GFP_DMA },
	{ ZONE_DMA32, __GFP_DMA32 },
	{ ZONE_NORMAL, 0 },
};

static struct cb_pages ballast = { .list = LIST_HEAD_INIT(ballast.list) };
static DEFINE_MUTEX(ballast_lock);

/* Returns NULL where the guest has no such zone. */
struct zone *cb_zone(int i)
{
	struct zone *zone = &NODE_DATA(0)->node_zones[zones[i].type];

	return populated_zone(zone) ? zone : NULL;
}

/* The zone that figures are of: the largest. */
struct zone *cb_main_zone(void)
{
	struct zone *zone, *largest = NULL;
	int i;

	for (i = 0; i < CB_NR_ZONES; i++) {
		zone = cb_zone(i);
		if (zone && (!largest || zone_managed_pages(zone) > zone_managed_pages(largest)))
			largest = zone;
	}
	return largest;
}

/* min_wmark_pages() adds watermark_boost, 512 pages that come and go with fragmentation. */
unsigned long cb_zone_min(struct zone *zone)
{
	return zone->_watermark[WMARK_MIN];
}

/* With the differences that this CPU has not added yet: zone_page_state() is off by some pages. */
unsigned long cb_zone_free(struct zone *zone)
{
	return zone_page_state_snapshot(zone, NR_FREE_PAGES);
}

static gfp_t zone_flag(struct zone *zone)
{
	int i;

	for (i = 0; i < CB_NR_ZONES; i++)
		if (zones[i].type == zone_idx(zone))
			return zones[i].flag;
	return 0;
}

static struct page *take_one(struct zone *zone, gfp_t gfp)
{
	struct page *page = alloc_pages(gfp | zone_flag(zone) | __GFP_NOWARN, 0);

	if (page && page_zone(page) != zone) {
		__free_page(page);
		return NULL;
	}
	return page;
}

/*
 * An order-3 GFP_ATOMIC request below the low watermark makes its block of 512 pages HIGHATOMIC.
 * Its pages count as free, and __GFP_MEMALLOC may not have them (rmqueue_buddy()): only who may not
 * wait and is above the watermark may. So there is no watermark for a moment, with interrupts off.
 */
static struct page *take_highatomic(struct zone *zone)
{
	unsigned long flags, min;
	struct page *page;

	local_irq_save(flags);
	min = zone->_watermark[WMARK_MIN];
	zone->_watermark[WMARK_MIN] = 0;
	page = take_one(zone, __GFP_HIGH);
	zone->_watermark[WMARK_MIN] = min;
	local_irq_restore(flags);
	return page;
}

/* Take single pages until at most target are free; returns how many. Never sleeps. */
unsigned int cb_take_to(struct zone *zone, unsigned long target, struct cb_pages *to,
			enum cb_take how)
{
	gfp_t gfp = __GFP_MEMALLOC | __GFP_NORETRY;
	unsigned int taken = 0;
	struct page *page;

	if (how == CB_TAKE_ALL_AND_RECLAIM)
		gfp |= __GFP_KSWAPD_RECLAIM;
	while (cb_zone_free(zone) > target) {
		page = take_one(zone, gfp);
		if (!page && how != CB_TAKE_LEAVE_HIGHATOMIC)
			page = take_highatomic(zone);
		if (!page)
			break;
		list_add_tail(&page->lru, &to->list);
		to->count++;
		taken++;
	}
	return taken;
}

/* Leave at most milli thousandths of its min watermark free in every zone. */
unsigned int cb_take_level(unsigned int milli, struct cb_pages *to, enum cb_take how)
{
	unsigned int taken = 0;
	struct zone *zone;
	int i;

	for (i = 0; i < CB_NR_ZONES; i++) {
		zone = cb_zone(i);
		if (zone)
			taken += cb_take_to(zone, cb_zone_min(zone) * milli / 1000, to, how);
	}
	return taken;
}

/* Give the first pages of a zone back, which are of blocks that everybody may use. */
unsigned int cb_raise_to(struct zone *zone, unsigned long target, struct cb_pages *from)
{
	struct page *page, *next;
	unsigned int given = 0;

	list_for_each_entry_safe(page, next, &from->list, lru) {
		if (cb_zone_free(zone) >= target)
			break;
		if (page_zone(page) != zone)
			continue;
		list_del(&page->lru);
		__free_page(page);
		from->count--;
		given++;
	}
	return given;
}

/* Down to nothing and up again: what is left then is in lists that everybody may use. */
unsigned int cb_take_level_exactly(unsigned int milli, struct cb_pages *to, enum cb_take how)
{
	unsigned int taken = cb_take_level(0, to, how);
	struct zone *zone;
	int i;

	for (i = 0; i < CB_NR_ZONES; i++) {
		zone = cb_zone(i);
		if (zone)
			taken -= cb_raise_to(zone, cb_zone_min(zone) * milli / 1000, to);
	}
	return taken;
}

void cb_give_back(struct cb_pages *from)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &from->list, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
	from->count = 0;
}

/* Per-CPU lists hold hundreds of pages that do not count as free and that everybody may use. */
void cb_pcp_off(void)
{
	struct zone *zone;
	int i, cpu;

	for (i = 0; i < CB_NR_ZONES; i++) {
		zone = cb_zone(i);
		if (!zone)
			continue;
		for_each_possible_cpu(cpu)
			cb_pcp_set(per_cpu_ptr(zone->per_cpu_pageset, cpu), 0, 0, 1);
	}
}

void cb_pcp_on(void)
{
	struct zone *zone;
	int i, cpu;

	for (i = 0; i < CB_NR_ZONES; i++) {
		zone = cb_zone(i);
		if (!zone)
			continue;
		for_each_possible_cpu(cpu)
			cb_pcp_restore(per_cpu_ptr(zone->per_cpu_pageset, cpu), zone);
	}
}

/*
 * The distance to a level decides how long the way down takes: thousands of pages take tens of
 * milliseconds, in which nobody else has the processor. The ballast shortens it beforehand. What
 * is to be left above is left in the main zone: ZONE_DMA is smaller than that as a rule, and would
 * be left whole. Returns the pages that are held afterwards.
 */
long cb_ballast(u32 above)
{
	struct zone *zone, *main = cb_main_zone();
	long held;
	int i;

	mutex_lock(&ballast_lock);
	cb_give_back(&ballast);
	for (i = 0; i < CB_NR_ZONES && above != CB_BALLAST_NONE; i++) {
		zone = cb_zone(i);
		if (zone)
			cb_take_to(zone, high_wmark_pages(zone) + (zone == main ? above : 0),
				   &ballast, CB_TAKE_LEAVE_HIGHATOMIC);
	}
	held = ballast.count;
	mutex_unlock(&ballast_lock);
	return held;
}

unsigned long cb_ballast_pages(void)
{
	return READ_ONCE(ballast.count);
}
