// SPDX-License-Identifier: GPL-2.0
/*
 * Floors by kind of request: how many pages must stay free for the allocator to grant one more. The
 * module takes all pages and gives them back a few at a time; at each level it asks for a page in
 * each way and returns what it gets.
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "crunchbed.h"

#define LEVELS_TO_MIN 256	/* at least; beyond min the sweep goes on for a quarter */

static struct task_struct *prober;

struct sweep {
	struct cb_probed found;
	struct completion over;
};

/*
 * Who may wait is not to: a PF_MEMALLOC task does not reclaim, and with __GFP_NOMEMALLOC it has no
 * reserve either, so that it has the floor of its kind and no more.
 */
static struct page *ask(enum cb_request kind)
{
	unsigned int saved;
	struct page *page;

	switch (kind) {
	case CB_REQUEST_ATOMIC:
		return alloc_page(GFP_ATOMIC | __GFP_NOWARN);
	case CB_REQUEST_FRAGMENT:
		return alloc_page(GFP_ATOMIC | __GFP_NOMEMALLOC | __GFP_NOWARN);
	case CB_REQUEST_MEMALLOC:
		return alloc_page(GFP_ATOMIC | __GFP_MEMALLOC | __GFP_NOWARN);
	default:
		saved = memalloc_noreclaim_save();
		page = alloc_page(GFP_KERNEL | __GFP_NOMEMALLOC | __GFP_NOWARN);
		memalloc_noreclaim_restore(saved);
		return page;
	}
}

/*
 * What was free is read afterwards: who may wait may lose the processor before its request, and
 * kcompactd, for one, takes dozens of free pages away for a while.
 */
static void probe(struct zone *zone, enum cb_request kind, struct cb_probed *found)
{
	s64 *granted = &found->granted[kind], *refused = &found->refused[kind];
	struct page *page = ask(kind);
	s64 available = cb_zone_free(zone) + !!page;

	if (!page)
		*refused = max(*refused, available);
	else if (page_zone(page) == zone && (*granted < 0 || available < *granted))
		*granted = available;
	if (page)
		__free_page(page);
}

static void probe_all(struct zone *zone, struct cb_probed *found)
{
	int kind;

	for (kind = 0; kind < CB_REQUESTS; kind++) {
		if (kind == CB_REQUEST_NORMAL)
			sched_set_normal(current, 0);
		probe(zone, kind, found);
		if (kind == CB_REQUEST_NORMAL)
			sched_set_fifo(current);
	}
}

static void sweep_up(struct cb_probed *found)
{
	struct cb_pages held = { .list = LIST_HEAD_INIT(held.list) };
	struct zone *zone = cb_main_zone();
	unsigned long level;
	int kind;

	found->min_pages = cb_zone_min(zone);
	found->step_pages = found->min_pages / LEVELS_TO_MIN + 1;
	for (kind = 0; kind < CB_REQUESTS; kind++) {
		found->granted[kind] = -1;
		found->refused[kind] = -1;
	}
	/* The lower zones stay empty, so that nobody finds a page there. */
	cb_take_level(0, &held, CB_TAKE_ALL);
	found->highatomic_pages = zone->nr_reserved_highatomic;
	for (level = 0; level < found->min_pages * 5 / 4; level += found->step_pages) {
		cb_raise_to(zone, level, &held);
		cb_take_to(zone, level, &held, CB_TAKE_ALL);
		probe_all(zone, found);
	}
	cb_give_back(&held);
}

static int work(void *argument)
{
	struct sweep *sweep = argument;

	sched_set_fifo(current);
	sweep_up(&sweep->found);
	complete(&sweep->over);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* In a thread of its own, for whoever asks is a real-time task or is not. */
int cb_probe(void)
{
	struct sweep sweep = {};

	if (cb_window_guards())
		return -EBUSY;
	init_completion(&sweep.over);
	prober = kthread_create(work, &sweep, "crunchbed-probe");
	if (IS_ERR(prober))
		return PTR_ERR(prober);
	cb_window_guard(true);
	wake_up_process(prober);
	wait_for_completion(&sweep.over);
	kthread_stop(prober);
	prober = NULL;
	cb_window_guard(false);
	cb_counters_probed(&sweep.found);
	return 0;
}

bool cb_probe_is_worker(void)
{
	return current == prober;
}
