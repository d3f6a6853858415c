/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a packet is: its class, and the few header fields that the rules need.
 * Mirrors reserve_agent/model/packet.py. */
#ifndef CRUNCHBED_PACKET_H
#define CRUNCHBED_PACKET_H

#define ETH_HEADER 14
#define ETH_IP 0x0800
#define ETH_ARP 0x0806
#define ETH_IPV6 0x86dd
#define ETH_8021Q 0x8100
#define ETH_8021AD 0x88a8
#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_FRAGMENT 44
#define PROTO_ICMPV6 58
#define PROTO_SCTP 132
#define AF_INET6 10
#define MAX_VLAN_TAGS 2
#define MAX_DIRECT 255 /* the verifier wants a bound on offsets into the packet */

/* The kernel's SKB_TRUESIZE for one linear buffer on x86-64: head room, the frame in cache lines,
 * struct sk_buff (256 as allocated) and struct skb_shared_info (320). */
#define SKB_HEADROOM 64
#define SKB_OVERHEAD 576
#define CACHE_LINE 64

struct packet {
	__u32 network; /* offset of the network header */
	__u32 transport; /* offset of the transport header; 0 = none that can be read */
	__u32 source;
	__u32 destination;
	__u8 protocol;
	__u8 cls;
	__u8 vm_aware;
	__u8 fragment; /* part of a fragmented datagram */
	__u16 type;    /* EtherType, behind the VLAN tags; 0 = cannot be read */
	__u16 pad;
};

/* Is the receive path of this protocol one that knows the rules? Unlike `vm_aware`, that is true
 * of a later fragment too: its protocol is known, only its socket is not. */
INLINE bool protocol_is_vm_aware(const struct packet *packet)
{
	if (packet->vm_aware)
		return true;
	return packet->fragment &&
	       (packet->protocol == PROTO_TCP || packet->protocol == PROTO_UDP ||
		packet->protocol == PROTO_SCTP);
}

INLINE __u32 buffer_pages(__u32 frame_bytes)
{
	__u32 truesize = ((SKB_HEADROOM + frame_bytes + CACHE_LINE - 1) & ~(CACHE_LINE - 1)) +
			 SKB_OVERHEAD;

	return (truesize + PAGE_BYTES - 1) / PAGE_BYTES;
}

/* As bpf_skb_load_bytes, without the call where the bytes lie in the buffer's linear part. */
INLINE long load(struct __sk_buff *skb, __u32 offset, void *to, __u32 bytes)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (offset <= MAX_DIRECT && data + offset + bytes <= end) {
		__builtin_memcpy(to, data + offset, bytes);
		return 0;
	}
	return bpf_skb_load_bytes(skb, offset, to, bytes);
}

INLINE const struct cb_rule *rule_for(const struct cb_config *config, __u8 protocol, __u16 source,
				      __u16 destination)
{
	for (int i = 0; i < MAX_RULES; i++) {
		const struct cb_rule *rule = &config->rules[i];

		if (!rule->port)
			break;
		if (rule->protocol == protocol &&
		    (rule->port == source || rule->port == destination))
			return rule;
	}
	return NULL;
}

INLINE void classify_ports(struct __sk_buff *skb, const struct cb_config *config,
			   struct packet *packet)
{
	const struct cb_rule *rule;
	__be16 ports[2];

	if (load(skb, packet->transport, ports, sizeof(ports))) {
		packet->transport = 0;
		return;
	}
	rule = rule_for(config, packet->protocol, bpf_ntohs(ports[0]), bpf_ntohs(ports[1]));
	if (rule)
		packet->cls = rule->cls;
}

INLINE void parse_transport(struct __sk_buff *skb, const struct cb_config *config,
			    struct packet *packet, bool later_fragment)
{
	switch (packet->protocol) {
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		packet->vm_aware = 1;
		packet->cls = CLASS_CONTROL;
		packet->transport = 0;
		return;
	case PROTO_TCP:
	case PROTO_UDP:
	case PROTO_SCTP:
		/* A later fragment has no port: nobody can say whose it is. */
		if (later_fragment) {
			packet->transport = 0;
			return;
		}
		packet->vm_aware = 1;
		classify_ports(skb, config, packet);
		return;
	default:
		packet->transport = 0;
	}
}

INLINE void parse_ipv4(struct __sk_buff *skb, const struct cb_config *config, struct packet *packet)
{
	struct iphdr ip;
	__u16 offset;

	if (load(skb, packet->network, &ip, sizeof(ip)))
		return;
	offset = bpf_ntohs(ip.frag_off);
	packet->fragment = (offset & 0x3fff) != 0;
	packet->source = ip.saddr;
	packet->destination = ip.daddr;
	packet->protocol = ip.protocol;
	packet->transport = packet->network + ip.ihl * 4;
	parse_transport(skb, config, packet, (offset & 0x1fff) != 0);
}

INLINE void parse_ipv6(struct __sk_buff *skb, const struct cb_config *config, struct packet *packet)
{
	struct ipv6hdr ip;
	struct {
		__u8 next;
		__u8 reserved;
		__be16 offset;
		__u32 id;
	} fragment;
	bool later = false;

	if (load(skb, packet->network, &ip, sizeof(ip)))
		return;
	packet->source = ip.saddr.in6_u.u6_addr32[3];
	packet->destination = ip.daddr.in6_u.u6_addr32[3];
	packet->protocol = ip.nexthdr;
	packet->transport = packet->network + sizeof(ip);
	if (packet->protocol == 0) {
		/* Hop-by-hop options: in practice multicast listener reports. */
		if (load(skb, packet->transport, &fragment, sizeof(fragment)))
			return;
		packet->protocol = fragment.next;
		packet->transport += (fragment.reserved + 1) * 8;
	}
	if (packet->protocol == PROTO_FRAGMENT) {
		if (load(skb, packet->transport, &fragment, sizeof(fragment)))
			return;
		packet->fragment = 1;
		later = (bpf_ntohs(fragment.offset) & 0xfff8) != 0;
		packet->protocol = fragment.next;
		packet->transport += sizeof(fragment);
	}
	parse_transport(skb, config, packet, later);
}

/* `network` is the offset of the network header and `type` its EtherType. */
INLINE void parse_network(struct __sk_buff *skb, const struct cb_config *config, __u16 type,
			  struct packet *packet)
{
	packet->type = type;
	if (type == ETH_IP) {
		parse_ipv4(skb, config, packet);
	} else if (type == ETH_IPV6) {
		parse_ipv6(skb, config, packet);
	} else if (type == ETH_ARP) {
		packet->cls = CLASS_CONTROL;
		packet->vm_aware = 1;
	}
}

/* Parse a frame from its Ethernet header, through up to two VLAN tags that are still in it.
 * A function of its own for the verifier's sake: verified once, whoever calls it. */
__noinline int cb_parse_frame(struct __sk_buff *skb, struct packet *packet)
{
	struct cb_config *config;
	__be16 type = skb->protocol;
	__u32 zero = 0;

	if (!packet)
		return 0;
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->network = ETH_HEADER;
	config = bpf_map_lookup_elem(&cb_config, &zero);
	if (!config)
		return 0;
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		if (type != bpf_htons(ETH_8021Q) && type != bpf_htons(ETH_8021AD))
			break;
		if (load(skb, packet->network + 2, &type, sizeof(type)))
			return 0;
		packet->network += 4;
	}
	parse_network(skb, config, bpf_ntohs(type), packet);
	return 0;
}

/* The same for a packet that begins at its network header. */
__noinline int cb_parse_packet(struct __sk_buff *skb, struct packet *packet)
{
	struct cb_config *config;
	__u32 zero = 0;

	if (!packet)
		return 0;
	__builtin_memset(packet, 0, sizeof(*packet));
	config = bpf_map_lookup_elem(&cb_config, &zero);
	if (config)
		parse_network(skb, config, bpf_ntohs(skb->protocol), packet);
	return 0;
}

/* First eight bytes of the payload: the name of a heartbeat, for the journal. */
INLINE __u64 payload_tag(struct __sk_buff *skb, const struct packet *packet)
{
	__u64 tag = 0;

	if (packet->protocol == PROTO_UDP && packet->transport)
		load(skb, packet->transport + 8, &tag, sizeof(tag));
	return tag;
}

#endif
