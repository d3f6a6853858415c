// SPDX-License-Identifier: GPL-2.0
/*
 * Objects that lie ready in slabs, in the cache of skb heads and in page fragments are memory that
 * no watermark guards: with all pages gone small packets still come and go. A window that is to be
 * as bad as it gets takes them too, by the calls that drivers and protocols make.
 */
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/slab.h>

#include "compat.h"
#include "crunchbed.h"

#define MANY 20000			/* of one kind; a guest of 128 MiB has fewer */
#define NO_PAGES (__GFP_NOMEMALLOC | __GFP_NOWARN | __GFP_NORETRY)

static struct sk_buff_head packets;
static struct napi_struct napi;
static void *objects;			/* linked through their first word */

static struct sk_buff *small_of_napi(void)
{
	return cb_napi_alloc_skb(&napi, 100, NO_PAGES);
}

static struct sk_buff *full_of_napi(void)
{
	return cb_napi_alloc_skb(&napi, 1600, NO_PAGES);
}

static struct sk_buff *full_of_netdev(void)
{
	return __netdev_alloc_skb(NULL, 1600, NO_PAGES);
}

static struct sk_buff *small_of_socket(void)
{
	return alloc_skb(100, NO_PAGES);
}

static struct sk_buff *small_of_tcp(void)
{
	return alloc_skb_fclone(100, NO_PAGES);
}

static unsigned int drain_packets(struct sk_buff *(*take)(void))
{
	struct sk_buff *skb;
	unsigned int n;

	for (n = 0; n < MANY; n++) {
		skb = take();
		if (!skb)
			break;
		__skb_queue_tail(&packets, skb);
	}
	return n;
}

static unsigned int drain_slab(size_t size)
{
	unsigned int n;
	void *object;

	for (n = 0; n < MANY; n++) {
		object = kmalloc(size, NO_PAGES);
		if (!object)
			break;
		*(void **)object = objects;
		objects = object;
	}
	return n;
}

/* Returns how many objects; the caller has softirqs disabled, as the cache of heads demands. */
unsigned int cb_drain(void)
{
	unsigned int n = 0;
	size_t size;

	__skb_queue_head_init(&packets);
	n += drain_packets(small_of_napi);
	n += drain_packets(full_of_napi);
	n += drain_packets(full_of_netdev);
	n += drain_packets(small_of_socket);
	n += drain_packets(small_of_tcp);
	for (size = 128; size <= PAGE_SIZE; size *= 2)
		n += drain_slab(size);
	return n;
}

void cb_undrain(void)
{
	void *next;

	__skb_queue_purge(&packets);
	for (; objects; objects = next) {
		next = *(void **)objects;
		kfree(objects);
	}
}
