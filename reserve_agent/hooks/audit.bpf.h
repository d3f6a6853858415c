/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Facts for `crunchbed audit`: which protocols arrive, and which sockets may draw on the reserve. */
#ifndef CRUNCHBED_AUDIT_H
#define CRUNCHBED_AUDIT_H

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cb_protocols);
} cb_protocols SEC(".maps");

INLINE void count_ether_type(struct cb_protocols *seen, __u16 type, __u32 packets)
{
	for (int i = 0; i < AUDIT_ETHER_TYPES; i++) {
		struct cb_ether_type *slot = &seen->others[i];

		if (!slot->packets)
			slot->type = type;
		if (slot->type == type) {
			slot->packets += packets;
			return;
		}
	}
	seen->unnamed += packets;
}

/* One increment for what carries IP; a short search for the rare rest. */
INLINE void count_protocol(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 zero = 0, packets = skb->gso_segs > 1 ? skb->gso_segs : 1;
	struct cb_protocols *seen = bpf_map_lookup_elem(&cb_protocols, &zero);

	if (!seen)
		return;
	if (packet->type == ETH_IP)
		seen->ipv4[packet->protocol] += packets;
	else if (packet->type == ETH_IPV6)
		seen->ipv6[packet->protocol] += packets;
	else
		count_ether_type(seen, packet->type, packets);
}

INLINE __u64 inode_of(const struct sock *sk)
{
	const struct socket *socket = sk->sk_socket;
	struct socket_alloc *both;

	if (!socket)
		return 0;
	both = container_of(socket, struct socket_alloc, socket);
	return BPF_CORE_READ(both, vfs_inode.i_ino);
}

/* Every socket of the node that the hooks know anything of. One that has no storage has not been
 * marked by anybody and has not sent anything. */
SEC("iter/bpf_sk_storage_map")
int cb_list_sockets(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct cb_socket *socket = ctx->value;
	struct cb_socket_record record = {};
	struct sock *sk = ctx->sk;

	if (!sk || !socket)
		return 0;
	record.inode = inode_of(sk);
	record.flags = socket->flags;
	record.closed = socket->closed;
	record.family = sk->__sk_common.skc_family;
	record.protocol = sk->sk_protocol;
	record.state = sk->__sk_common.skc_state;
	record.local_port = sk->__sk_common.skc_num;
	record.remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (record.family == AF_INET6) {
		BPF_CORE_READ_INTO(&record.local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&record.remote, sk, __sk_common.skc_v6_daddr);
	} else {
		*(__be32 *)record.local = sk->__sk_common.skc_rcv_saddr;
		*(__be32 *)record.remote = sk->__sk_common.skc_daddr;
	}
	if (socket->tx_end > socket->tx_una)
		record.write_queue_bytes = socket->tx_end - socket->tx_una;
	record.pool_pages = socket->pool.pages + socket->hoarded;
	record.reserve_pages = socket->from_reserve;
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

#endif
