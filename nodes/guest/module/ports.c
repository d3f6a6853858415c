// SPDX-License-Identifier: GPL-2.0
/*
 * SOCK_MEMALLOC by protocol and port, of any program's sockets and of the kernel's. A thread looks
 * through the hash tables, where a socket is from its bind() or connect() on. Listeners stay as
 * they are: the connections that they accept would have a flag that nobody has counted.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/in.h>
#include <linux/jump_label.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <net/inet_hashtables.h>
#include <net/net_namespace.h>
#include <net/tcp.h>
#include <net/udp.h>

#include "crunchbed.h"

#define PERIOD_MS 20
#define MAX_HELD 64
#define MAX_CHANGES 16		/* of one look; the others have theirs at the next */

struct port {
	struct cb_flag_port wanted;
	int following;			/* sockets */
};

/* A socket that was flagged here: held, since nobody counts it down when it is closed. */
struct held {
	struct sock *sk;
	gfp_t before, given;		/* sk_allocation */
};

static DEFINE_MUTEX(mutex);		/* of all that follows */
static struct task_struct *looker;
static struct port ports[CB_MAX_PORTS];
static struct held held[MAX_HELD];
static struct sock *changes[MAX_CHANGES];
static unsigned int nr_ports, nr_held, nr_changes;
static u64 flagged, of_ports;	/* sockets, as of the last look */

static struct held *find_held(const struct sock *sk)
{
	unsigned int i;

	for (i = 0; i < nr_held; i++)
		if (held[i].sk == sk)
			return &held[i];
	return NULL;
}

static void put_held(struct held *one)
{
	struct sock *sk = one->sk;

	*one = held[--nr_held];
	sock_put(sk);
}

static gfp_t allocation_of(const struct held *one, u32 value)
{
	return (value == CB_MEMALLOC_NOWAIT ? GFP_ATOMIC : one->before) | __GFP_MEMALLOC;
}

/* Returns whether the flag was changed, or a negative error, as lower() does. */
static int raise(struct sock *sk, u32 value)
{
	struct held *one = find_held(sk);
	gfp_t before = sk->sk_allocation;
	int changed;

	if (!one && nr_held == MAX_HELD)
		return -ENOSPC;
	changed = cb_memalloc_raise(sk);
	if (changed < 0)
		return changed;
	if (!one && changed) {
		sock_hold(sk);
		one = &held[nr_held++];
		*one = (struct held){ .sk = sk, .before = before };
	}
	if (one) {
		one->given = allocation_of(one, value);
		WRITE_ONCE(sk->sk_allocation, one->given);
	}
	return changed;
}

static int lower(struct sock *sk)
{
	struct held *one = find_held(sk);
	int changed = cb_memalloc_lower(sk);

	if (changed >= 0 && one) {
		WRITE_ONCE(sk->sk_allocation, one->before);
		put_held(one);
	}
	return changed;
}

/* A part of the kernel has the socket now, and has flagged and counted it once more. */
static bool taken_over(const struct held *one)
{
	return one->sk->sk_user_data && one->sk->sk_allocation != one->given;
}

static void let_go(void)
{
	unsigned int i;

	for (i = nr_held; i-- > 0;) {
		struct sock *sk = held[i].sk;

		if (taken_over(&held[i])) {
			static_branch_dec(&memalloc_socks_key);
			put_held(&held[i]);
		} else if (sock_flag(sk, SOCK_DEAD) && sk->sk_state == TCP_CLOSE) {
			lower(sk);
		}
	}
}

static bool matches(const struct sock *sk, const struct cb_flag_port *wanted)
{
	return sk->sk_protocol == wanted->protocol &&
	       ((wanted->side & CB_SIDE_LOCAL && htons(sk->sk_num) == wanted->port) ||
		(wanted->side & CB_SIDE_REMOTE && sk->sk_dport == wanted->port));
}

static struct port *port_of(const struct sock *sk)
{
	unsigned int i;

	for (i = 0; i < nr_ports; i++)
		if (matches(sk, &ports[i].wanted))
			return &ports[i];
	return NULL;
}

static bool follows(const struct sock *sk, u32 value)
{
	const struct held *one = find_held(sk);

	if (!value)
		return !sock_flag(sk, SOCK_MEMALLOC);
	if (!sock_flag(sk, SOCK_MEMALLOC))
		return false;
	return !one || one->given == allocation_of(one, value);
}

static void look_at(struct sock *sk)
{
	struct port *port;

	if (!sk_fullsock(sk) || sk->sk_family != AF_INET)
		return;
	flagged += sock_flag(sk, SOCK_MEMALLOC);
	port = port_of(sk);
	if (!port)
		return;
	of_ports++;
	if (follows(sk, port->wanted.value)) {
		port->following++;
	} else if (nr_changes < MAX_CHANGES) {
		sock_hold(sk);
		changes[nr_changes++] = sk;
	}
}

static void look_at_tcp(void)
{
	struct inet_hashinfo *hashes = init_net.ipv4.tcp_death_row.hashinfo;
	struct hlist_nulls_node *node;
	struct sock *sk;
	unsigned int i;

	for (i = 0; i <= hashes->ehash_mask; i++) {
		if (hlist_nulls_empty(&hashes->ehash[i].chain))
			continue;
		spin_lock_bh(inet_ehash_lockp(hashes, i));
		sk_nulls_for_each(sk, node, &hashes->ehash[i].chain)
			look_at(sk);
		spin_unlock_bh(inet_ehash_lockp(hashes, i));
	}
}

static void look_at_udp(void)
{
	struct sock *sk;
	unsigned int i;

	for (i = 0; i <= udp_table.mask; i++) {
		struct udp_hslot *slot = &udp_table.hash[i];

		if (hlist_empty(&slot->head))
			continue;
		spin_lock_bh(&slot->lock);
		sk_for_each(sk, &slot->head)
			look_at(sk);
		spin_unlock_bh(&slot->lock);
	}
}

/* A socket that is owned now has its change at a later look. */
static void change(struct sock *sk)
{
	struct port *port = port_of(sk);
	u32 value = port->wanted.value;
	int changed = value ? raise(sk, value) : lower(sk);

	if (changed < 0)
		return;
	port->following++;
	flagged += value ? changed : -changed;
}

static void look(void)
{
	unsigned int i;

	let_go();
	flagged = 0;
	of_ports = 0;
	nr_changes = 0;
	for (i = 0; i < nr_ports; i++)
		ports[i].following = 0;
	look_at_tcp();
	look_at_udp();
	for (i = 0; i < nr_changes; i++) {
		change(changes[i]);
		sock_put(changes[i]);
	}
}

/* The counters' thread does not wait for a look, which may wait for the kernel to patch itself. */
void cb_ports_count(u64 *of_flag, u64 *of_port)
{
	if (!mutex_trylock(&mutex))
		return;
	*of_flag = flagged;
	*of_port = of_ports;
	mutex_unlock(&mutex);
}

static struct port *find_port(const struct cb_flag_port *wanted)
{
	unsigned int i;

	for (i = 0; i < nr_ports; i++)
		if (!memcmp(&ports[i].wanted, wanted, offsetof(struct cb_flag_port, value)))
			return &ports[i];
	return nr_ports < CB_MAX_PORTS ? &ports[nr_ports++] : NULL;
}

int cb_ports_flag(const struct cb_flag_port *wanted)
{
	int result = -ENOSPC;
	struct port *port;

	if ((wanted->protocol != IPPROTO_TCP && wanted->protocol != IPPROTO_UDP) ||
	    !wanted->side || wanted->side & ~CB_SIDE_EITHER || !wanted->port ||
	    wanted->value > CB_MEMALLOC_NOWAIT)
		return -EINVAL;
	mutex_lock(&mutex);
	port = find_port(wanted);
	if (port) {
		port->wanted = *wanted;
		look();
		result = port->following;
	}
	mutex_unlock(&mutex);
	return result;
}

static int work(void *unused)
{
	sched_set_fifo_low(current);
	while (!kthread_should_stop()) {
		mutex_lock(&mutex);
		look();
		mutex_unlock(&mutex);
		msleep(PERIOD_MS);
	}
	return 0;
}

int cb_ports_init(void)
{
	looker = kthread_run(work, NULL, "crunchbed-ports");
	return PTR_ERR_OR_ZERO(looker);
}

void cb_ports_exit(void)
{
	kthread_stop(looker);
	while (nr_held)
		if (lower(held[0].sk) < 0)
			msleep(PERIOD_MS);
}
