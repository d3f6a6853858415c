// SPDX-License-Identifier: GPL-2.0
/*
 * crunchbed: what a stock kernel does not let user space do. Levels of free pages below the min
 * watermark, SO_MEMALLOC as a socket option, and counters in memory that the host shares.
 *
 * The agent's requests come by ioctl(), which allocates nothing, unlike a text file in /proc.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "crunchbed.h"

#define MAX_MILLI 100000	/* a hundred times min: more than any guest has */

static long add_window(void __user *from)
{
	struct cb_window_request request;

	if (copy_from_user(&request, from, sizeof(request)))
		return -EFAULT;
	if (request.level.level_milli > MAX_MILLI || request.level.drain > 1)
		return -EINVAL;
	/* Nobody can meet a demand without looking for freed pages. */
	if (request.level.demand && !request.level.refill_us)
		return -EINVAL;
	return cb_window_add(&request);
}

static long set_ballast(void __user *from)
{
	struct cb_ballast ballast;

	if (copy_from_user(&ballast, from, sizeof(ballast)))
		return -EFAULT;
	return cb_ballast(ballast.above);
}

static long flag_port(void __user *from)
{
	struct cb_flag_port wanted;

	if (copy_from_user(&wanted, from, sizeof(wanted)))
		return -EFAULT;
	return cb_ports_flag(&wanted);
}

static long request(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *from = (void __user *)argument;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (command) {
	case CB_IOC_WINDOW:
		return add_window(from);
	case CB_IOC_CALM:
		cb_window_calm();
		return 0;
	case CB_IOC_BALLAST:
		return set_ballast(from);
	case CB_IOC_GUARD:
		cb_window_guard(argument);
		return 0;
	case CB_IOC_FLAG_PORT:
		return flag_port(from);
	case CB_IOC_PROBE:
		return cb_probe();
	default:
		return -ENOTTY;
	}
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = request,
	.llseek = noop_llseek,
};

static struct miscdevice control = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "crunchbed",
	.fops = &operations,
	.mode = 0600,
};

static int __init crunchbed_init(void)
{
	int error;

	error = cb_failures_init();
	if (error)
		return error;
	error = cb_counters_init();
	if (error)
		goto no_counters;
	error = cb_window_init();
	if (error)
		goto no_window;
	error = cb_memalloc_init();
	if (error)
		goto no_memalloc;
	error = cb_ports_init();
	if (error)
		goto no_ports;
	error = misc_register(&control);
	if (error)
		goto no_control;
	return 0;
no_control:
	cb_ports_exit();
no_ports:
	cb_memalloc_exit();
no_memalloc:
	cb_window_exit();
no_window:
	cb_counters_exit();
no_counters:
	cb_failures_exit();
	return error;
}

static void __exit crunchbed_exit(void)
{
	misc_deregister(&control);
	cb_ports_exit();
	cb_memalloc_exit();
	cb_window_exit();
	cb_counters_exit();
	cb_ballast(CB_BALLAST_NONE);
	cb_failures_exit();
}

module_init(crunchbed_init);
module_exit(crunchbed_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Memory pressure, SO_MEMALLOC and counters for crunchbed's guests");
