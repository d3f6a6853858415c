/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The five policies. Runs with the pool's lock held; mirrors reserve_agent/model/policies.py. */
#ifndef CRUNCHBED_POLICY_H
#define CRUNCHBED_POLICY_H

/* Whether a memalloc socket counts for anything. */
INLINE bool honours_flags(const struct cb_config *config)
{
	return config->policy != POLICY_NONE &&
	       (config->policy != POLICY_MEMALLOC || fixed.flags != FLAGS_NOBODY);
}

/* Whether the receive reserve is open: in a kernel while a socket is flagged. */
INLINE bool reserve_is_open(const struct cb_pool *pool, const struct cb_config *config)
{
	if (config->policy == POLICY_MEMALLOC && fixed.flags == FLAGS_SOCKETS)
		return (__s64)pool->flagged > 0; /* of an earlier boot they may be cleared later */
	return honours_flags(config);
}

/* Whether a packet's protocol passes from the reserve. */
INLINE bool passes_from_reserve(const struct packet *packet)
{
	__u16 type = packet->type;

	if (!fixed.ether_types)
		return packet->vm_aware;
	for (int i = 0; i < MAX_ETHER_TYPES; i++)
		if (fixed.ether_type[i] == type)
			return type != 0; /* 0 ends the list, and is a type that cannot be read */
	return false;
}

/* With `enforce`, a protocol that does not know these rules is refused, pressure or not. */
INLINE bool refuses_protocol(const struct cb_config *config, const struct packet *packet)
{
	return config->enforce && !protocol_is_vm_aware(packet) && !passes_from_reserve(packet);
}

/* The softnet queue of 2.6: full, it drops everything until it has drained. */
INLINE bool softnet_throttles(struct cb_pool *pool, const struct cb_config *config)
{
	__u64 passed = pool->now - pool->softnet_since;
	__u64 limit = (__u64)config->softnet_limit * config->softnet_cost_ns;

	pool->softnet_since = pool->now;
	pool->softnet_backlog_ns -= passed < pool->softnet_backlog_ns ? passed :
									pool->softnet_backlog_ns;
	if (!pool->softnet_backlog_ns)
		pool->softnet_throttled = 0;
	else if (pool->softnet_backlog_ns >= limit)
		pool->softnet_throttled = 1;
	if (pool->softnet_throttled)
		return true;
	pool->softnet_backlog_ns += config->softnet_cost_ns;
	return false;
}

/* Verdict on a packet that no socket will be asked about. */
INLINE __u8 judge_without_socket(const struct cb_pool *pool, const struct cb_config *config,
				 const struct packet *packet, bool from_reserve)
{
	bool short_of = config->policy == POLICY_CRITICAL ? pool->emergency != 0 : from_reserve;

	if (!short_of || !honours_flags(config) || passes_from_reserve(packet))
		return REASON_GRANTED;
	return REASON_NOT_VM_AWARE;
}

/* A stalled reader has read all, if the pool has woken readers since. */
INLINE void catch_up(struct cb_socket *socket, const struct cb_pool *pool)
{
	if (socket->wakes == pool->wakes)
		return;
	socket->wakes = pool->wakes;
	socket->hoarded = 0;
	socket->unread = 0;
}

INLINE __u8 charge_mempool(const struct cb_pool *pool, struct cb_socket *socket,
			   const struct cb_config *config, __u32 pages)
{
	wheel_turn(&socket->pool, pool->now >> (config->service_shift & 63));
	catch_up(socket, pool);
	if (socket->pool.pages + socket->hoarded + pages > config->mempool_pages)
		return REASON_POOL_EMPTY;
	if (socket->flags & SOCK_STALLED)
		socket->hoarded += pages;
	else
		wheel_put(&socket->pool, pages);
	return REASON_GRANTED;
}

/* Verdict after socket lookup: from_reserve(skb) && !is_memalloc(sock) -> drop. */
INLINE __u8 judge_socket(const struct cb_pool *pool, struct cb_socket *socket,
			 const struct cb_config *config, bool from_reserve, __u32 pages)
{
	bool memalloc = socket && (socket->flags & SOCK_MEMALLOC);

	/* Without a flag a driver may always ask, and sk_filter drops what it got. */
	if (!honours_flags(config))
		return from_reserve && fixed.flags == FLAGS_SOCKETS ? REASON_NOT_MEMALLOC :
								      REASON_GRANTED;
	switch (config->policy) {
	case POLICY_SOFTNET:
	case POLICY_MEMALLOC:
		return from_reserve && !memalloc ? REASON_NOT_MEMALLOC : REASON_GRANTED;
	case POLICY_MEMPOOL:
		if (!from_reserve)
			return REASON_GRANTED;
		return memalloc ? charge_mempool(pool, socket, config, pages) : REASON_NO_POOL;
	case POLICY_CRITICAL:
		return pool->emergency && !memalloc ? REASON_NOT_CRITICAL : REASON_GRANTED;
	default:
		return REASON_GRANTED;
	}
}

/* A reader that does not read is bounded by its receive buffer, flagged or not. */
INLINE __u8 fill_receive_buffer(const struct cb_pool *pool, struct cb_socket *socket,
				__u32 truesize)
{
	__u64 most = socket->receive_buffer ? socket->receive_buffer : fixed.receive_buffer;

	catch_up(socket, pool);
	if (socket->unread > most)
		return REASON_BUFFER_FULL;
	socket->unread += truesize;
	return REASON_GRANTED;
}

/* Does this socket's reader run under pressure? Writeback always does. */
INLINE bool reader_runs(const struct cb_socket *socket, const struct cb_config *config)
{
	if (!socket || (socket->flags & SOCK_STALLED))
		return false;
	return (socket->flags & SOCK_WRITEBACK) ||
	       (honours_flags(config) && (socket->flags & SOCK_MEMALLOC));
}

#endif
