/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* SO_MEMALLOC for those who ask, and marking by rule for those who do not know it. */
#ifndef CRUNCHBED_SOCKOPT_H
#define CRUNCHBED_SOCKOPT_H

#define EPERM 1
#define EINVAL 22
#define SOL_SOCKET 1
#define HANDLED (-1) /* optlen: the kernel's own handler is not asked */

INLINE bool is_ours(const struct bpf_sockopt *ctx)
{
	return ctx->level == SOL_SOCKET &&
	       (ctx->optname == SO_MEMALLOC || ctx->optname == SO_STALLED);
}

INLINE __u32 flag_of(const struct bpf_sockopt *ctx)
{
	return ctx->optname == SO_MEMALLOC ? SOCK_MEMALLOC : SOCK_STALLED;
}

/* The kernel counts flagged sockets (memalloc_socks_key), and nobody takes a closed one off. Those
 * whose readers keep what they get are counted likewise. */
INLINE void count_flags(__u32 changed, __s64 by)
{
	__u32 zero = 0;
	struct cb_pool *pool = bpf_map_lookup_elem(&cb_pool, &zero);

	if (pool && changed & SOCK_MEMALLOC)
		__sync_fetch_and_add(&pool->flagged, by);
	if (pool && changed & SOCK_STALLED)
		__sync_fetch_and_add(&pool->keepers, by);
}

INLINE void set_flags(struct cb_socket *socket, __u32 flags)
{
	__u32 before = __sync_fetch_and_or(&socket->flags, flags);

	count_flags(flags & ~before, 1);
}

INLINE void clear_flags(struct cb_socket *socket, __u32 flags)
{
	__u32 before = __sync_fetch_and_and(&socket->flags, ~flags);

	count_flags(flags & before, -1);
}

/* In mainline only kernel code sets the flag; here CAP_NET_ADMIN stands for that, as it does for
 * SO_MARK and SO_PRIORITY. kernel_cap_t changed its type in 6.3 but not its first bytes. */
INLINE bool is_privileged(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	const struct cred *cred = BPF_CORE_READ(task, cred);
	__u32 capabilities = 0;

	if (bpf_core_read(&capabilities, sizeof(capabilities), &cred->cap_effective))
		return false;
	return capabilities & (1U << CAP_NET_ADMIN);
}

SEC("cgroup/setsockopt")
int cb_setsockopt(struct bpf_sockopt *ctx)
{
	__u8 *value = ctx->optval, *end = ctx->optval_end;
	struct cb_socket *socket;

	if (!is_ours(ctx))
		return 1;
	if (!is_privileged()) {
		bpf_set_retval(-EPERM);
		return 0;
	}
	if (value + sizeof(int) > end || !ctx->sk) {
		bpf_set_retval(-EINVAL);
		return 0;
	}
	socket = bpf_sk_storage_get(&cb_sockets, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket)
		return 0;
	if (ctx->optname == SO_STALLED)
		socket->receive_buffer = *(int *)value > 1 ? *(int *)value : 0;
	if (*(int *)value)
		set_flags(socket, flag_of(ctx));
	else
		clear_flags(socket, flag_of(ctx));
	ctx->optlen = HANDLED;
	return 1;
}

SEC("cgroup/getsockopt")
int cb_getsockopt(struct bpf_sockopt *ctx)
{
	__u8 *value = ctx->optval, *end = ctx->optval_end;
	struct cb_socket *socket;

	if (!is_ours(ctx))
		return 1;
	if (value + sizeof(int) > end || !ctx->sk)
		return 0;
	socket = bpf_sk_storage_get(&cb_sockets, ctx->sk, NULL, 0);
	*(int *)value = socket && (socket->flags & flag_of(ctx)) ? 1 : 0;
	ctx->optlen = sizeof(int);
	ctx->retval = 0;
	return 1;
}

INLINE int mark_by_rule(struct bpf_sock_addr *ctx)
{
	const struct cb_rule *rule;
	struct cb_socket *socket;
	struct cb_config *config;
	__u32 zero = 0;

	config = bpf_map_lookup_elem(&cb_config, &zero);
	if (!config || !ctx->sk)
		return 1;
	rule = rule_for(config, ctx->protocol, 0, bpf_ntohs(ctx->user_port));
	if (!rule || !rule->flags)
		return 1;
	socket = bpf_sk_storage_get(&cb_sockets, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket)
		set_flags(socket, rule->flags);
	return 1;
}

SEC("cgroup/connect4")
int cb_connect4(struct bpf_sock_addr *ctx)
{
	return mark_by_rule(ctx);
}

SEC("cgroup/connect6")
int cb_connect6(struct bpf_sock_addr *ctx)
{
	return mark_by_rule(ctx);
}

SEC("cgroup/sendmsg4")
int cb_sendmsg4(struct bpf_sock_addr *ctx)
{
	return mark_by_rule(ctx);
}

SEC("cgroup/sendmsg6")
int cb_sendmsg6(struct bpf_sock_addr *ctx)
{
	return mark_by_rule(ctx);
}

#endif
