/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A wire that loses packets: a fault, for machines without netem, and one that can be told from a
 * drop for want of memory. What is lost here never reached the node, so the rules of memory, and
 * their reference, know nothing of it. */
#ifndef CRUNCHBED_WIRE_H
#define CRUNCHBED_WIRE_H

#define ARP_SENDER 14 /* offset of the sender's IPv4 address in an ARP packet */

INLINE __u32 sender_of(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 sender = 0;

	if (packet->type != ETH_ARP)
		return packet->source;
	load(skb, packet->network + ARP_SENDER, &sender, sizeof(sender));
	return sender;
}

/* Whether this packet is one that the wire loses. Each loss has its own dice. */
INLINE bool wire_loses(struct __sk_buff *skb, const struct cb_config *config,
		       const struct packet *packet)
{
	__u32 sender = sender_of(skb, packet);

	for (int i = 0; i < MAX_LOSSES; i++) {
		const struct cb_loss *loss = &config->losses[i];

		if (!loss->threshold)
			break;
		if (loss->source && loss->source != sender)
			continue;
		if (loss->threshold == LOSS_ALWAYS || bpf_get_prandom_u32() < loss->threshold)
			return true;
	}
	return false;
}

#endif
