// SPDX-License-Identifier: GPL-2.0
/*
 * Windows of pressure: at its time each takes the zones down to a level, holds it there, and gives
 * all back. A window with a demand is a crunch by writeback: it takes every page that somebody
 * frees until it has as many as it wants, so that it lasts as long as the kernel needs to write
 * dirty pages.
 *
 * Free pages may fall below the level while it is held, since that is what a reserve is for. They
 * never stay above it: freed pages are taken again.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kfifo.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "crunchbed.h"

#define SPIN_NS (200 * NSEC_PER_USEC)	/* what lasts longer is left to a timer */
#define RAMP_STEP_NS NSEC_PER_MSEC
/* Who was on the way to the OOM killer when a window ended gets there after it: still no kill. */
#define GUARD_NS (100 * NSEC_PER_MSEC)

static DEFINE_KFIFO(requests, struct cb_window_request, CB_WINDOWS);
static DEFINE_SPINLOCK(requests_lock);
static DECLARE_WAIT_QUEUE_HEAD(wake);
static struct task_struct *worker;
static bool calm;			/* the window that is held is to end */

static struct cb_pages held = { .list = LIST_HEAD_INIT(held.list) };
static u64 begun, ended;		/* windows */
static bool guarding, asked_to_guard;
static u64 guarded_until_ns;

static bool to_end(void)
{
	return READ_ONCE(calm) || kthread_should_stop();
}

/* Returns early when the window is to end. */
static void wait_until(u64 ns)
{
	u64 now = ktime_get_ns();

	if (now >= ns)
		return;
	if (ns - now > SPIN_NS)
		wait_event_interruptible_hrtimeout(wake, to_end(), ns_to_ktime(ns - now));
	else
		while (ktime_get_ns() < ns)
			cpu_relax();
}

static void ramp_down(const struct cb_level *level, struct cb_window *window)
{
	u64 ramp_ns = level->ramp_us * (u64)NSEC_PER_USEC, elapsed;
	unsigned long from[CB_NR_ZONES] = {};
	unsigned long target;
	struct zone *zone;
	int i;

	for (i = 0; i < CB_NR_ZONES; i++)
		if (cb_zone(i))
			from[i] = cb_zone_free(cb_zone(i));
	while (!to_end()) {
		elapsed = ktime_get_ns() - window->begun_ns;
		if (elapsed >= ramp_ns)
			break;
		for (i = 0; i < CB_NR_ZONES; i++) {
			zone = cb_zone(i);
			if (!zone)
				continue;
			target = cb_zone_min(zone) * level->level_milli / 1000;
			if (from[i] <= target)
				continue;
			target = from[i] - mul_u64_u64_div_u64(from[i] - target, elapsed, ramp_ns);
			window->taken_pages += cb_take_to(zone, target, &held,
							  CB_TAKE_LEAVE_HIGHATOMIC);
		}
		wait_until(min(ktime_get_ns() + RAMP_STEP_NS, window->begun_ns + ramp_ns));
	}
}

static enum cb_take how(const struct cb_level *level)
{
	return level->demand ? CB_TAKE_ALL_AND_RECLAIM : CB_TAKE_ALL;
}

/* With softirqs off: nobody receives while more pages are gone than the level says. */
static void reach(const struct cb_level *level, struct cb_window *window)
{
	if (level->ramp_us)
		ramp_down(level, window);
	cb_pcp_off();
	local_bh_disable();
	window->taken_pages += cb_take_level_exactly(level->level_milli, &held, how(level));
	if (level->drain) {
		window->drained_objects = cb_drain();
		window->taken_pages += cb_take_level(level->level_milli, &held, how(level));
	}
	window->reached_pages = cb_zone_free(cb_main_zone());
	local_bh_enable();
	window->reached_ns = ktime_get_ns();
	window->low_pages = window->reached_pages;
}

static void hold(const struct cb_level *level, struct cb_window *window)
{
	u64 until = window->reached_ns + level->hold_us * (u64)NSEC_PER_USEC;
	u64 refill_ns = level->refill_us * (u64)NSEC_PER_USEC;
	u64 now;

	for (;;) {
		now = ktime_get_ns();
		window->low_pages = min_t(s64, window->low_pages, cb_zone_free(cb_main_zone()));
		if (now >= until || to_end())
			break;
		wait_until(refill_ns ? min(until, now + refill_ns) : until);
		if (refill_ns)
			window->refilled_pages += cb_take_level(level->level_milli, &held,
								how(level));
		if (level->demand && window->refilled_pages >= level->demand)
			break;
	}
}

static void release(struct cb_window *window)
{
	window->ended_pages = cb_zone_free(cb_main_zone());
	window->highatomic_pages = cb_main_zone()->nr_reserved_highatomic;
	window->ended_ns = ktime_get_ns();
	cb_give_back(&held);
	if (window->drained_objects)
		cb_undrain();
	cb_pcp_on();
	window->freed_ns = ktime_get_ns();
}

static void run(const struct cb_window_request *request)
{
	const struct cb_level *level = &request->level;
	struct cb_failed before, after;
	struct cb_window window = {
		.id = request->id,
		.level_milli = level->level_milli,
		.hold_us = level->hold_us,
		.requested_pages = cb_zone_min(cb_main_zone()) * level->level_milli / 1000,
	};
	int i;

	cb_failures_read(&before);
	window.begun_ns = ktime_get_ns();
	window.asked_ns = level->begin_ns ?: window.begun_ns;
	cb_counters_record(begun, &window);
	WRITE_ONCE(begun, begun + 1);
	WRITE_ONCE(guarding, true);
	reach(level, &window);
	cb_counters_record(ended, &window);
	hold(level, &window);
	release(&window);
	WRITE_ONCE(guarded_until_ns, ktime_get_ns() + GUARD_NS);
	WRITE_ONCE(guarding, false);
	cb_failures_read(&after);
	for (i = 0; i < CB_FAILURES; i++)
		window.failed[i] = after.of_kind[i] - before.of_kind[i];
	window.oom_calls = after.oom_calls - before.oom_calls;
	cb_counters_record(ended, &window);
	WRITE_ONCE(ended, ended + 1);
}

static int work(void *unused)
{
	struct cb_window_request request;

	sched_set_fifo(current);
	while (!kthread_should_stop()) {
		wait_event_interruptible(wake, !kfifo_is_empty(&requests) ||
					 kthread_should_stop());
		WRITE_ONCE(calm, false);
		if (!kfifo_out_spinlocked(&requests, &request, 1, &requests_lock))
			continue;
		wait_until(request.level.begin_ns);
		if (!to_end())
			run(&request);
	}
	return 0;
}

int cb_window_add(const struct cb_window_request *request)
{
	if (!kfifo_in_spinlocked(&requests, request, 1, &requests_lock))
		return -ENOSPC;
	wake_up(&wake);
	return 0;
}

void cb_window_calm(void)
{
	unsigned long flags;

	spin_lock_irqsave(&requests_lock, flags);
	kfifo_reset(&requests);
	spin_unlock_irqrestore(&requests_lock, flags);
	WRITE_ONCE(calm, true);
	wake_up(&wake);
}

bool cb_window_is_worker(void)
{
	return current == worker;
}

/* For a crunch that is not a window's; as in a window, every page that is free is counted. */
void cb_window_guard(bool on)
{
	if (on == READ_ONCE(asked_to_guard))
		return;
	if (on) {
		cb_pcp_off();
	} else {
		cb_pcp_on();
		WRITE_ONCE(guarded_until_ns, ktime_get_ns() + GUARD_NS);
	}
	WRITE_ONCE(asked_to_guard, on);
}

bool cb_window_guards(void)
{
	return READ_ONCE(guarding) || READ_ONCE(asked_to_guard) ||
	       ktime_get_ns() < READ_ONCE(guarded_until_ns);
}

void cb_window_state(struct cb_window_state *state)
{
	state->begun = READ_ONCE(begun);
	state->ended = READ_ONCE(ended);
	state->waiting = kfifo_len(&requests);
	state->held = READ_ONCE(held.count);
}

int cb_window_init(void)
{
	worker = kthread_run(work, NULL, "crunchbed");
	return PTR_ERR_OR_ZERO(worker);
}

void cb_window_exit(void)
{
	kthread_stop(worker);
}
