/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the module know of each other. */
#ifndef CRUNCHBED_H
#define CRUNCHBED_H

#include <linux/list.h>
#include <linux/mmzone.h>
#include <linux/sched.h>

#include "shared.h"

/* pages.c: pages that the module has taken out of the allocator. */

struct cb_pages {
	struct list_head list;
	unsigned long count;
};

#define CB_NR_ZONES 3

/* How to take a page. */
enum cb_take {
	CB_TAKE_LEAVE_HIGHATOMIC,	/* those in HIGHATOMIC blocks stay */
	CB_TAKE_ALL,
	CB_TAKE_ALL_AND_RECLAIM,	/* and kswapd is to find more */
};

struct zone *cb_zone(int i);
struct zone *cb_main_zone(void);
unsigned long cb_zone_min(struct zone *zone);
unsigned long cb_zone_free(struct zone *zone);
unsigned int cb_take_to(struct zone *zone, unsigned long target, struct cb_pages *to,
			enum cb_take how);
unsigned int cb_take_level(unsigned int milli, struct cb_pages *to, enum cb_take how);
unsigned int cb_take_level_exactly(unsigned int milli, struct cb_pages *to, enum cb_take how);
unsigned int cb_raise_to(struct zone *zone, unsigned long target, struct cb_pages *from);
void cb_give_back(struct cb_pages *from);
void cb_pcp_off(void);
void cb_pcp_on(void);
long cb_ballast(u32 above);
unsigned long cb_ballast_pages(void);

/* drain.c: objects that lie ready in slabs and page fragments. */

unsigned int cb_drain(void);
void cb_undrain(void);

/* window.c: windows of pressure, one after the other. */

struct cb_window_state {
	u64 begun, ended;
	unsigned int waiting;
	unsigned long held;
};

int cb_window_init(void);
void cb_window_exit(void);
int cb_window_add(const struct cb_window_request *request);
void cb_window_calm(void);
bool cb_window_is_worker(void);
void cb_window_guard(bool on);
bool cb_window_guards(void);
void cb_window_state(struct cb_window_state *state);

/* probe.c: floors by kind of request. */

int cb_probe(void);
bool cb_probe_is_worker(void);

/* failures.c: allocations that failed, and calls of the OOM killer. */

struct cb_failed {
	u32 of_kind[CB_FAILURES];
	u32 oom_calls;
};

int cb_failures_init(void);
void cb_failures_exit(void);
void cb_failures_read(struct cb_failed *failed);

/* counters.c: the memory that the host shares. */

int cb_counters_init(void);
void cb_counters_exit(void);
void cb_counters_record(u64 number, const struct cb_window *window);
void cb_counters_probed(const struct cb_probed *found);
void cb_counters_say(const char *why);

/* memalloc.c: the flag of one socket, and the socket option. */

struct sock;

int cb_memalloc_init(void);
void cb_memalloc_exit(void);
int cb_memalloc_raise(struct sock *sk);
int cb_memalloc_lower(struct sock *sk);

/* ports.c: the flag of sockets that are known by their ports. */

int cb_ports_init(void);
void cb_ports_exit(void);
int cb_ports_flag(const struct cb_flag_port *wanted);
void cb_ports_count(u64 *flagged, u64 *wanted);

#endif
