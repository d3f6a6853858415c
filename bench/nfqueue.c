// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The smallest possible verdict in user space: accepts every packet of one queue without reading it.
 * usage: nfqueue QUEUE; prints "ready" when it listens, and runs until a signal ends it. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <libnetfilter_queue/libnetfilter_queue.h>

#define HEADERS 128 /* bytes of a packet that a verdict would look at */
#define QUEUE_LENGTH 8192

static int accept_packet(struct nfq_q_handle *queue, struct nfgenmsg *message,
			 struct nfq_data *packet, void *unused)
{
	struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(packet);

	(void)message;
	(void)unused;
	if (!header)
		return -1;
	return nfq_set_verdict(queue, ntohl(header->packet_id), NF_ACCEPT, 0, NULL);
}

int main(int argc, char **argv)
{
	struct nfq_handle *handle = nfq_open();
	struct nfq_q_handle *queue;
	char buffer[65536];
	ssize_t bytes;

	if (argc != 2 || !handle) {
		perror("nfqueue");
		return 1;
	}
	queue = nfq_create_queue(handle, (uint16_t)atoi(argv[1]), accept_packet, NULL);
	if (!queue || nfq_set_mode(queue, NFQNL_COPY_PACKET, HEADERS) < 0 ||
	    nfq_set_queue_maxlen(queue, QUEUE_LENGTH) < 0) {
		perror("nfqueue");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		bytes = recv(nfq_fd(handle), buffer, sizeof(buffer), 0);
		if (bytes >= 0)
			nfq_handle_packet(handle, buffer, (int)bytes);
		else if (errno != ENOBUFS && errno != EINTR)
			return 1;
	}
}
