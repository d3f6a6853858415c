// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that the host shares: counters that a thread of the kernel publishes, so that they
 * tell the truth of a guest whose programs stand still, and the record of the windows. Last words
 * go to the console, by printk(), which needs no allocation.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/pci.h>
#include <linux/snmp.h>
#include <linux/vmstat.h>
#include <net/ip.h>
#include <net/net_namespace.h>
#include <net/snmp.h>
#include <net/sock.h>

#include "crunchbed.h"

#define IVSHMEM_VENDOR PCI_VENDOR_ID_REDHAT_QUMRANET
#define IVSHMEM_DEVICE 0x1110
#define IVSHMEM_BAR 2
#define PERIOD_US 5000

static unsigned int report_ms;
module_param(report_ms, uint, 0644);
MODULE_PARM_DESC(report_ms, "a line of counters on the console every so often; 0: none");

static struct pci_dev *device;
static void __iomem *shared;
static struct task_struct *publisher;
static struct cb_counters counters;
static unsigned long vm_events[NR_VM_EVENT_ITEMS];

static void __iomem *slot(u64 sequence)
{
	return shared + CB_COUNTERS_AT + sequence % CB_COUNTERS_SLOTS * CB_COUNTERS_SLOT_BYTES;
}

static void read_zones(void)
{
	struct zone *zone = cb_main_zone();

	counters.free_pages = cb_zone_free(zone);
	counters.min_pages = cb_zone_min(zone);
	counters.low_pages = low_wmark_pages(zone);
	counters.high_pages = high_wmark_pages(zone);
	counters.managed_pages = zone_managed_pages(zone);
	counters.highatomic_pages = zone->nr_reserved_highatomic;
	counters.free_pages_all = global_zone_page_state(NR_FREE_PAGES);
	counters.dirty_pages = global_node_page_state(NR_FILE_DIRTY);
	counters.writeback_pages = global_node_page_state(NR_WRITEBACK);
	counters.file_pages = global_node_page_state(NR_ACTIVE_FILE) +
			      global_node_page_state(NR_INACTIVE_FILE);
	counters.anonymous_pages = global_node_page_state(NR_ANON_MAPPED);
	counters.slab_pages = global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
	counters.ballast_pages = cb_ballast_pages();
}

static void read_events(void)
{
	struct cb_failed failed;
	int i;

	cb_failures_read(&failed);
	for (i = 0; i < CB_FAILURES; i++)
		counters.failed[i] = failed.of_kind[i];
	counters.oom_calls = failed.oom_calls;
	all_vm_events(vm_events);
	counters.direct_reclaims = 0;
	for (i = 0; i <= ZONE_MOVABLE; i++)
		counters.direct_reclaims += vm_events[ALLOCSTALL_NORMAL - ZONE_NORMAL + i];
	counters.swapped_out_pages = vm_events[PSWPOUT];
	counters.swapped_in_pages = vm_events[PSWPIN];
}

static void read_network(void)
{
	struct rtnl_link_stats64 stats;
	struct net_device *card;

	counters.pfmemalloc_drops = snmp_fold_field(init_net.mib.net_statistics,
						    LINUX_MIB_PFMEMALLOCDROP);
	counters.memalloc_sockets = static_key_count(&memalloc_socks_key.key);
	cb_ports_count(&counters.flagged_sockets, &counters.port_sockets);
	rcu_read_lock();
	card = dev_get_by_name_rcu(&init_net, "eth0");
	if (card) {
		dev_get_stats(card, &stats);
		counters.rx_packets = stats.rx_packets;
		counters.rx_dropped = stats.rx_dropped;
		counters.rx_missed = stats.rx_missed_errors;
		counters.rx_fifo_errors = stats.rx_fifo_errors;
		counters.tx_packets = stats.tx_packets;
	}
	rcu_read_unlock();
}

static void read_windows(void)
{
	struct cb_window_state state;

	cb_window_state(&state);
	counters.held_pages = state.held;
	counters.windows_begun = state.begun;
	counters.windows_ended = state.ended;
	counters.windows_waiting = state.waiting;
}

/*
 * A guest whose processor is taken away may stand still in here: the host then has the other slot,
 * which is whole.
 */
static void publish(void)
{
	void __iomem *to;

	read_zones();
	read_events();
	read_network();
	read_windows();
	counters.at_ns = ktime_get_ns();
	counters.sequence++;
	to = slot(counters.sequence);
	writeq(0, to);
	wmb();		/* not valid first, then what is not yet whole */
	memcpy_toio(to + sizeof(u64), (u8 *)&counters + sizeof(u64),
		    sizeof(counters) - sizeof(u64));
	wmb();		/* whole first, then valid */
	writeq(counters.sequence, to);
}

/* Whether a record is whole is told by its freed_ns, which is the last that is written. */
void cb_counters_record(u64 number, const struct cb_window *window)
{
	size_t last = offsetof(struct cb_window, freed_ns);
	struct cb_window record = *window;
	void __iomem *to;

	to = shared + CB_WINDOWS_AT + number % CB_WINDOWS * sizeof(record);
	record.freed_ns = 0;
	writeq(0, to + last);
	wmb();		/* not whole first, then what changes */
	memcpy_toio(to, &record, sizeof(record));
	wmb();		/* what changed first, then whole */
	writeq(window->freed_ns, to + last);
	wmb();		/* the record first, then the count that says that it is there */
}

/* Whole before the answer to the agent's request, after which the host reads it. */
void cb_counters_probed(const struct cb_probed *found)
{
	memcpy_toio(shared + CB_PROBED_AT, found, sizeof(*found));
}

/* Last words. */
void cb_counters_say(const char *why)
{
	const u64 *failed = counters.failed;

	pr_emerg("crunchbed: %s: free %llu of min %llu, held %llu, dirty %llu, writeback %llu, failed atomic %llu fragment %llu nowait %llu memalloc %llu and fragment %llu blocking %llu, oom %llu, pfmemalloc drops %llu\n",
		 why, counters.free_pages, counters.min_pages, counters.held_pages,
		 counters.dirty_pages, counters.writeback_pages, failed[CB_FAIL_ATOMIC],
		 failed[CB_FAIL_FRAGMENT], failed[CB_FAIL_NOWAIT], failed[CB_FAIL_MEMALLOC],
		 failed[CB_FAIL_MEMALLOC_FRAGMENT], failed[CB_FAIL_BLOCKING], counters.oom_calls,
		 counters.pfmemalloc_drops);
}

static int work(void *unused)
{
	u64 said_ns = 0;

	sched_set_fifo(current);
	while (!kthread_should_stop()) {
		publish();
		if (report_ms && counters.at_ns - said_ns >= report_ms * (u64)NSEC_PER_MSEC) {
			said_ns = counters.at_ns;
			cb_counters_say("report");
		}
		usleep_range(PERIOD_US, PERIOD_US + PERIOD_US / 10);
	}
	return 0;
}

static int on_panic(struct notifier_block *block, unsigned long unused, void *text)
{
	int i;

	for (i = 0; i < CB_COUNTERS_SLOTS; i++)
		writeq(ktime_get_mono_fast_ns(),
		       slot(i) + offsetof(struct cb_counters, panicked_ns));
	cb_counters_say("panic");
	return NOTIFY_DONE;
}

static struct notifier_block panic_block = { .notifier_call = on_panic };

/*
 * The agent maps the same memory through sysfs, uncached. ioremap() is uncached too: two mappings
 * that cache differently are refused.
 */
static int map_shared(void)
{
	int error;

	device = pci_get_device(IVSHMEM_VENDOR, IVSHMEM_DEVICE, NULL);
	if (!device)
		return -ENODEV;
	error = pci_enable_device(device);
	if (error)
		goto put;
	error = -ENODEV;
	if (pci_resource_len(device, IVSHMEM_BAR) < CB_SHARED_BYTES)
		goto disable;
	error = -ENOMEM;
	shared = ioremap(pci_resource_start(device, IVSHMEM_BAR), CB_SHARED_BYTES);
	if (!shared)
		goto disable;
	return 0;
disable:
	pci_disable_device(device);
put:
	pci_dev_put(device);
	return error;
}

static void unmap_shared(void)
{
	iounmap(shared);
	pci_disable_device(device);
	pci_dev_put(device);
}

int cb_counters_init(void)
{
	int error = map_shared();

	if (error)
		return error;
	publisher = kthread_run(work, NULL, "crunchbed-count");
	if (IS_ERR(publisher)) {
		unmap_shared();
		return PTR_ERR(publisher);
	}
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	return 0;
}

void cb_counters_exit(void)
{
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_block);
	kthread_stop(publisher);
	unmap_shared();
}
