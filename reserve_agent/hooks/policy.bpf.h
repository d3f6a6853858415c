/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The five policies. Runs with the pool's lock held; mirrors reserve_agent/model/policies.py. */
#ifndef CRUNCHBED_POLICY_H
#define CRUNCHBED_POLICY_H

/* Pages that a receive buffer must leave free: plain GFP_ATOMIC may take half of the reserve. */
INLINE __u64 receive_floor(const struct cb_pool *pool, __u32 policy)
{
	return policy == POLICY_NONE ? pool->reserve / 2 : 0;
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
INLINE __u8 judge_without_socket(const struct cb_pool *pool, __u32 policy, bool from_reserve,
				 bool vm_aware)
{
	if (vm_aware || policy == POLICY_NONE)
		return REASON_GRANTED;
	if (policy == POLICY_CRITICAL ? pool->emergency != 0 : from_reserve)
		return REASON_NOT_VM_AWARE;
	return REASON_GRANTED;
}

INLINE __u8 charge_mempool(const struct cb_pool *pool, struct cb_socket *socket,
			   const struct cb_config *config, __u32 pages)
{
	wheel_turn(&socket->pool, pool->now >> (config->service_shift & 63));
	if (socket->wakes != pool->wakes) {
		socket->wakes = pool->wakes;
		socket->hoarded = 0;
	}
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

/* Does this socket's reader run under pressure? Writeback always does. */
INLINE bool reader_runs(const struct cb_socket *socket, __u32 policy)
{
	if (!socket || (socket->flags & SOCK_STALLED))
		return false;
	return (socket->flags & SOCK_WRITEBACK) ||
	       (policy != POLICY_NONE && (socket->flags & SOCK_MEMALLOC));
}

#endif
