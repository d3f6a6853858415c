// SPDX-License-Identifier: GPL-2.0
/*
 * Evidence of the allocator: every page allocation that fails passes warn_alloc(), whether it is
 * warned of or not; who finds nothing however long it tries comes to the OOM killer.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include "crunchbed.h"

#define OOM_NAP_MS 5

static atomic_t failed_of_kind[CB_FAILURES];
static atomic_t oom_calls;

static enum cb_failure kind_of(gfp_t gfp, unsigned int order)
{
	bool memalloc = (gfp & __GFP_MEMALLOC) || (current->flags & PF_MEMALLOC);

	if (memalloc && !(gfp & __GFP_NOMEMALLOC))
		return order ? CB_FAIL_MEMALLOC_FRAGMENT : CB_FAIL_MEMALLOC;
	if (gfp & __GFP_DIRECT_RECLAIM)
		return CB_FAIL_BLOCKING;
	if (order)
		return CB_FAIL_FRAGMENT;
	return gfp & __GFP_HIGH ? CB_FAIL_ATOMIC : CB_FAIL_NOWAIT;
}

/* warn_alloc(gfp_mask, nodemask, "... order:%u", order) */
static int on_warn_alloc(struct kprobe *probe, struct pt_regs *regs)
{
	gfp_t gfp = (__force gfp_t)regs_get_kernel_argument(regs, 0);
	unsigned int order = regs_get_kernel_argument(regs, 3);

	/* The module's own requests are no evidence; a packet that interrupts the module is. */
	if ((cb_window_is_worker() || cb_probe_is_worker()) && !in_serving_softirq())
		return 0;
	atomic_inc(&failed_of_kind[kind_of(gfp, order)]);
	return 0;
}

static struct kprobe warn_probe = {
	.symbol_name = "warn_alloc",
	.pre_handler = on_warn_alloc,
};

/*
 * While a window is held nobody is killed for want of memory: who asks waits. The notifier must
 * sleep: without that a real-time task retried for ever, the module's thread never ran, and the
 * window never ended.
 */
static int on_oom(struct notifier_block *block, unsigned long unused, void *freed)
{
	atomic_inc(&oom_calls);
	if (cb_window_guards()) {
		*(unsigned long *)freed += 1;
		msleep(OOM_NAP_MS);
	}
	return NOTIFY_OK;
}

static struct notifier_block oom_block = { .notifier_call = on_oom };

void cb_failures_read(struct cb_failed *failed)
{
	int i;

	for (i = 0; i < CB_FAILURES; i++)
		failed->of_kind[i] = atomic_read(&failed_of_kind[i]);
	failed->oom_calls = atomic_read(&oom_calls);
}

int cb_failures_init(void)
{
	int error = register_kprobe(&warn_probe);

	if (error)
		return error;
	error = register_oom_notifier(&oom_block);
	if (error)
		unregister_kprobe(&warn_probe);
	return error;
}

void cb_failures_exit(void)
{
	unregister_oom_notifier(&oom_block);
	unregister_kprobe(&warn_probe);
}
