// SPDX-License-Identifier: GPL-2.0
/*
 * SO_MEMALLOC: a socket whose user throttles it may draw on the reserve. Mainline has the flag
 * (SOCK_MEMALLOC) for its own block drivers and no way to set it from user space.
 */
#include <linux/capability.h>
#include <linux/jump_label.h>
#include <linux/netfilter.h>
#include <linux/sockptr.h>
#include <linux/uaccess.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "crunchbed.h"

/* sk_set_memalloc() counts every call: set only what is not set. */
static void flag_up(struct sock *sk)
{
	lock_sock(sk);
	if (!sock_flag(sk, SOCK_MEMALLOC))
		sk_set_memalloc(sk);
	release_sock(sk);
}

/*
 * Both below change a socket that nobody owns, with softirqs off, and do not wait for an owner,
 * who may wait for memory: -EBUSY says that there is one. They return whether they changed the
 * flag. What is counted may sleep, so it is counted outside.
 */
int cb_memalloc_raise(struct sock *sk)
{
	int changed = -EBUSY;

	spin_lock_bh(&sk->sk_lock.slock);
	if (!sk->sk_lock.owned) {
		changed = !sock_flag(sk, SOCK_MEMALLOC);
		sock_set_flag(sk, SOCK_MEMALLOC);
		sk->sk_allocation |= __GFP_MEMALLOC;
	}
	spin_unlock_bh(&sk->sk_lock.slock);
	if (changed > 0)
		static_branch_inc(&memalloc_socks_key);
	return changed;
}

/*
 * A packet from the reserve that finds the socket owned waits in its backlog, and the kernel is
 * sure that the socket still has the flag when the packet is taken from there (BUG_ON() in
 * __sk_backlog_rcv()). While nobody owns the socket the backlog is empty, and with softirqs off
 * no packet is between filter and backlog on the one CPU that a node has.
 */
int cb_memalloc_lower(struct sock *sk)
{
	int changed = -EBUSY;

	spin_lock_bh(&sk->sk_lock.slock);
	if (!sk->sk_lock.owned) {
		changed = sock_flag(sk, SOCK_MEMALLOC);
		sock_reset_flag(sk, SOCK_MEMALLOC);
		sk->sk_allocation &= ~__GFP_MEMALLOC;
		/* What it holds beyond its limits, as sk_clear_memalloc() does. */
		sk_mem_reclaim(sk);
	}
	spin_unlock_bh(&sk->sk_lock.slock);
	if (changed > 0)
		static_branch_dec(&memalloc_socks_key);
	return changed;
}

static void flag_down(struct sock *sk)
{
	while (cb_memalloc_lower(sk) == -EBUSY) {
		lock_sock(sk);		/* waits for the owner */
		release_sock(sk);
	}
}

/*
 * GFP_KERNEL | __GFP_MEMALLOC waits in reclaim before it draws on the reserve: kmalloc_reserve()
 * tries without the reserve first. A sender that must not wait says so, and nobody else's mode is
 * changed.
 */
static void set_mode(struct sock *sk, int value)
{
	lock_sock(sk);
	if (value == CB_MEMALLOC_NOWAIT)
		sk->sk_allocation = GFP_ATOMIC | __GFP_MEMALLOC;
	else if (!(sk->sk_allocation & __GFP_DIRECT_RECLAIM))
		sk->sk_allocation = GFP_KERNEL | (value ? __GFP_MEMALLOC : 0);
	release_sock(sk);
}

static int set_memalloc(struct sock *sk, int option, sockptr_t from, unsigned int bytes)
{
	int value;

	if (!ns_capable(sock_net(sk)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (bytes != sizeof(value))
		return -EINVAL;
	if (copy_from_sockptr(&value, from, sizeof(value)))
		return -EFAULT;
	if (value < CB_MEMALLOC_OFF || value > CB_MEMALLOC_NOWAIT)
		return -EINVAL;
	if (value)
		flag_up(sk);
	else
		flag_down(sk);
	set_mode(sk, value);
	return 0;
}

static int get_memalloc(struct sock *sk, int option, void __user *to, int *bytes)
{
	int value = CB_MEMALLOC_OFF;

	if (*bytes < (int)sizeof(value))
		return -EINVAL;
	if (sock_flag(sk, SOCK_MEMALLOC))
		value = sk->sk_allocation & __GFP_DIRECT_RECLAIM ? CB_MEMALLOC_ON :
			CB_MEMALLOC_NOWAIT;
	*bytes = sizeof(value);
	return copy_to_user(to, &value, sizeof(value)) ? -EFAULT : 0;
}

static struct nf_sockopt_ops memalloc_ops = {
	.pf = PF_INET,
	.owner = THIS_MODULE,
	.set_optmin = CB_SO_MEMALLOC,
	.set_optmax = CB_SO_MEMALLOC + 1,
	.set = set_memalloc,
	.get_optmin = CB_SO_MEMALLOC,
	.get_optmax = CB_SO_MEMALLOC + 1,
	.get = get_memalloc,
};

int cb_memalloc_init(void)
{
	return nf_register_sockopt(&memalloc_ops);
}

void cb_memalloc_exit(void)
{
	nf_unregister_sockopt(&memalloc_ops);
}
