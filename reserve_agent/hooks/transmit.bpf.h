/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Pages of a TCP write queue. The queue packs its bytes into whole pages, as sk_page_frag does,
 * and keeps them until they are acknowledged: pages held = ceil(end / 4096) - floor(una / 4096).
 * A segment that goes out brings to account what waits behind it in the queue as well: the sender
 * took those pages when it wrote, before there was a segment to see.
 * Mirrors reserve_agent/model/transmit.py. */
#ifndef CRUNCHBED_TRANSMIT_H
#define CRUNCHBED_TRANSMIT_H

#define STREAM_MARGIN 16

struct segment {
	__u32 sequence;
	__u32 bytes;   /* payload bytes; 0 = not a TCP segment with data */
	__u32 written; /* sequence number up to which the sender has written; never before its end */
};

/* How a write queue grows with a segment: what the segment itself needs, and all that waits. */
struct growth {
	__u64 held;
	__u64 need;
	__u64 want;
};

/* Where the socket's write queue ends; where the segment does, if nobody can say. */
INLINE __u32 written_up_to(struct __sk_buff *skb, const struct segment *segment)
{
	__u32 end = segment->sequence + segment->bytes;
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tcp;

	if (fixed.testing)
		return end + skb->cb[0];
	if (!sk)
		return end;
	tcp = bpf_skc_to_tcp_sock(sk);
	return tcp ? tcp->write_seq : end;
}

INLINE void read_segment(struct __sk_buff *skb, const struct packet *packet,
			 struct segment *segment)
{
	__u32 header;
	struct tcphdr tcp;

	segment->bytes = 0;
	segment->sequence = 0;
	segment->written = 0;
	if (packet->protocol != PROTO_TCP || !packet->transport)
		return;
	if (load(skb, packet->transport, &tcp, sizeof(tcp)))
		return;
	header = packet->transport + tcp.doff * 4;
	segment->sequence = bpf_ntohl(tcp.seq);
	if (skb->len > header)
		segment->bytes = skb->len - header;
	segment->written = written_up_to(skb, segment);
}

INLINE __u64 stream_pages(__u64 end, __u64 una)
{
	if (end <= una)
		return 0;
	return (end + PAGE_BYTES - 1) / PAGE_BYTES - una / PAGE_BYTES;
}

/* Where in the stream a sequence number lies; never before what is charged already. */
INLINE __u64 stream_end(const struct cb_socket *socket, __u32 sequence)
{
	__u32 ahead = sequence - socket->tx_base - (__u32)socket->tx_end;

	return (__s32)ahead > 0 ? socket->tx_end + ahead : socket->tx_end;
}

INLINE void stream_growth(const struct cb_socket *socket, const struct segment *segment,
			  struct growth *growth)
{
	__u32 end = segment->sequence + segment->bytes;
	__u64 una = socket->tx_una;

	growth->held = stream_pages(socket->tx_end, una);
	growth->need = stream_pages(stream_end(socket, end), una) - growth->held;
	growth->want = stream_pages(stream_end(socket, segment->written), una) - growth->held;
}

/* The first segment of a connection, or of a boot of the node, begins its books. */
INLINE void stream_begin(const struct cb_pool *pool, struct cb_socket *socket,
			 const struct segment *segment)
{
	if (socket->tx_started && socket->generation == pool->generation)
		return;
	socket->tx_started = 1;
	socket->generation = pool->generation;
	socket->tx_base = segment->sequence;
	socket->tx_end = 0;
	socket->tx_una = 0;
}

/* Whether charging this segment leaves the pool calm, so that the time does not matter. Looked at
 * before the lock is taken, since the clock cannot be read under it: hence the margin, for what
 * others take in between. */
INLINE bool stream_roomy(const struct cb_pool *pool, const struct cb_config *config,
			 const struct cb_socket *socket, const struct segment *segment)
{
	struct growth growth;

	if (!socket->tx_started || socket->generation != pool->generation)
		return false;
	stream_growth(socket, segment, &growth);
	return pool_roomy(pool, config, growth.want + STREAM_MARGIN);
}

/* Whether all that the sender has written is charged already: most segments follow one that has
 * brought to account what waited behind it. Where the pool is roomy too, nothing changes. */
INLINE bool stream_is_charged(const struct cb_socket *socket, const struct segment *segment)
{
	return (__s32)(segment->written - socket->tx_base - (__u32)socket->tx_end) <= 0;
}

/* Charges as much of what is wanted as the pool has above `floor`, in whole pages; returns it. */
INLINE __u64 stream_charge(struct cb_pool *pool, struct cb_socket *socket,
			   const struct segment *segment, const struct growth *growth, __u64 floor)
{
	__u64 room = pool->free > floor ? pool->free - floor : 0, pages = growth->want, end;

	if (pages <= room) {
		end = stream_end(socket, segment->written);
	} else {
		pages = room;
		end = (socket->tx_una / PAGE_BYTES + growth->held + pages) * PAGE_BYTES;
	}
	if (end > socket->tx_end)
		socket->tx_end = end;
	pool->free -= pages;
	pool->tx += pages;
	return pages;
}

INLINE void give_back(struct cb_pool *pool, __u64 pages)
{
	if (pages > pool->tx)
		pages = pool->tx;
	pool->tx -= pages;
	pool->free += pages;
}

/* The peer has everything before `acknowledged`. */
INLINE void stream_acknowledge(struct cb_pool *pool, struct cb_socket *socket, __u32 acknowledged)
{
	__u32 ahead = acknowledged - socket->tx_base - (__u32)socket->tx_una;
	__u64 before, una = socket->tx_una + ahead;

	if (socket->closed || socket->generation != pool->generation || (__s32)ahead <= 0)
		return;
	if (una > socket->tx_end)
		una = socket->tx_end;
	before = stream_pages(socket->tx_end, socket->tx_una);
	socket->tx_una = una;
	give_back(pool, before - stream_pages(socket->tx_end, una));
}

INLINE void stream_close(struct cb_pool *pool, struct cb_socket *socket)
{
	if (!socket->closed && socket->tx_started && socket->generation == pool->generation)
		give_back(pool, stream_pages(socket->tx_end, socket->tx_una));
	socket->closed = 1;
}

/* A delivered TCP segment with an acknowledgement frees what the write queue held for it. */
INLINE void acknowledge(struct cb_node *s, struct __sk_buff *skb, struct cb_socket *socket)
{
	struct packet packet;
	struct tcphdr tcp;

	cb_parse_packet(skb, &packet);
	if (packet.protocol != PROTO_TCP || !packet.transport)
		return;
	if (load(skb, packet.transport, &tcp, sizeof(tcp)) || !tcp.ack)
		return;
	/* Most segments that bring data acknowledge nothing new. */
	if ((__s32)(bpf_ntohl(tcp.ack_seq) - socket->tx_base - (__u32)socket->tx_una) <= 0)
		return;
	bpf_spin_lock(s->lock);
	stream_acknowledge(s->pool, socket, bpf_ntohl(tcp.ack_seq));
	account(s->pool, s->log, s->pool->now);
	bpf_spin_unlock(s->lock);
}

/* What a sender asks for its pages with. ARP and ICMP are the kernel's own GFP_ATOMIC. By the mail
 * a memalloc socket may go to the bottom, and ARP and ICMP follow the receive rule; in a kernel the
 * flag does not help who wants pages for data, and waits in GFP_KERNEL first, but brings a head. */
INLINE __u32 transmit_request(const struct cb_socket *socket, const struct cb_config *config,
			      __u8 cls, bool streamed)
{
	__u32 atomic = REQUEST_ATOMIC;

	if (fixed.flags == FLAGS_POLICY) {
		if (reader_runs(socket, config))
			return REQUEST_MEMALLOC;
		if (honours_flags(config))
			atomic = REQUEST_MEMALLOC;
	} else if (socket && socket->flags & SOCK_WRITEBACK) {
		return REQUEST_MEMALLOC;
	} else if (!streamed && fixed.flags == FLAGS_SOCKETS && honours_flags(config) && socket &&
		   socket->flags & SOCK_MEMALLOC) {
		return REQUEST_MEMALLOC;
	} else if (socket && socket->flags & SOCK_REALTIME) {
		return REQUEST_REALTIME;
	}
	return cls == CLASS_CONTROL ? atomic : REQUEST_NORMAL;
}

INLINE __u8 transmit_refusal(const struct cb_pool *pool, __u32 request, __u64 floor)
{
	if (floor == pool->reserve || request == REQUEST_REALTIME)
		return REASON_TX_STALLED;
	return floor ? REASON_ALLOC_FAILED : REASON_RESERVE_EXHAUSTED;
}

/* Pages that a packet needs while it is sent: in a kernel none, as long as heads are at hand and
 * have not sunk into NAPI's cache. */
INLINE __u32 transmit_pages(const struct cb_pool *pool, __u32 frame_bytes)
{
	bool mute = fixed.mute_after && pool->sunk >= fixed.mute_after;

	return fixed.buffers ? mute || !pool->buffers.heads : buffer_pages(frame_bytes);
}

/* A packet left while its sender would have found no page for its head. */
INLINE void sink_head(struct cb_pool *pool)
{
	if (fixed.mute_after)
		pool->sunk++;
}

#endif
