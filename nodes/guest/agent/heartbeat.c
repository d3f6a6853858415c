// SPDX-License-Identifier: Apache-2.0
/*
 * Datagrams to and from the other nodes. What they say is none of the agent's business: membership
 * runs on the host, is told of what came here and sends by this socket only. A guest that hears
 * nothing, says nothing or stands still looks to it as it would look to a daemon in the guest.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "agent.h"

#define RECEIVE_BUFFER (1 << 20)	/* a reader that was held up for seconds loses nothing */

static int fd = -1;
static sem_t to_send;

int heartbeat_open(struct in_addr address, in_port_t port)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_port = port, .sin_addr = address };
	int bytes = RECEIVE_BUFFER, on = 1;

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    bind(fd, (struct sockaddr *)&self, sizeof(self)))
		return -errno;
	return 0;
}

int heartbeat_socket(void)
{
	return fd;
}

/* The kernel's stamp is of the real-time clock, which nobody sets in a guest. */
static uint64_t arrival_ns(struct msghdr *message, uint64_t read_ns)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	struct timespec stamp, real;
	int64_t age;

	if (!control || control->cmsg_type != SO_TIMESTAMPNS)
		return read_ns;
	memcpy(&stamp, CMSG_DATA(control), sizeof(stamp));
	clock_gettime(CLOCK_REALTIME, &real);
	age = (real.tv_sec - stamp.tv_sec) * 1000000000ll + real.tv_nsec - stamp.tv_nsec;
	return age > 0 ? read_ns - age : read_ns;
}

static void *receive(void *unused)
{
	static _Alignas(8) unsigned char control[64];
	static unsigned char payload[CB_MAX_PAYLOAD];
	struct iovec part = { .iov_base = payload, .iov_len = sizeof(payload) };
	struct cb_received received = {};
	struct sockaddr_in from;
	struct msghdr message;
	ssize_t bytes;

	for (;;) {
		message = (struct msghdr){ .msg_name = &from, .msg_namelen = sizeof(from),
					   .msg_iov = &part, .msg_iovlen = 1,
					   .msg_control = control,
					   .msg_controllen = sizeof(control) };
		bytes = recvmsg(fd, &message, 0);
		if (bytes < 0)
			continue;	/* an error of an earlier send: says nothing of a peer */
		received.read_ns = now_ns();
		received.at_ns = arrival_ns(&message, received.read_ns);
		received.from = from.sin_addr.s_addr;
		received.port = from.sin_port;
		received.bytes = bytes;
		ring_put(CB_RING_RECEIVED, CB_RECEIVED, 0, &received, sizeof(received), payload,
			 bytes);
	}
	return unused;
}

static void send_to_all(const struct cb_message *message)
{
	const struct cb_send *send = (const void *)(message + 1);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = send->port };
	struct cb_sent sent = { .begun_ns = now_ns() };
	uint32_t i;

	for (i = 0; i < send->targets && i < CB_MAX_TARGETS; i++) {
		to.sin_addr.s_addr = send->to[i];
		if (sendto(fd, send->payload, send->bytes, MSG_DONTWAIT, (struct sockaddr *)&to,
			   sizeof(to)) == send->bytes)
			sent.reached |= 1u << i;
		else
			sent.error = errno;
	}
	sent.at_ns = now_ns();
	ring_put(CB_RING_SENT, CB_SENT, message->id, &sent, sizeof(sent), NULL, 0);
}

static int is_whole(const struct cb_message *message)
{
	const struct cb_send *send = (const void *)(message + 1);
	size_t body = message->bytes - sizeof(*message);

	return message->kind == CB_SEND && body >= sizeof(*send) &&
	       send->bytes <= body - sizeof(*send);
}

static void *transmit(void *unused)
{
	const struct cb_message *message;

	for (;;) {
		while (sem_wait(&to_send))
			;
		while ((message = ring_peek(CB_RING_SEND))) {
			if (is_whole(message))
				send_to_all(message);
			else
				ring_done(CB_RING_SENT, message->id, -EINVAL, 0);
			ring_next(CB_RING_SEND);
		}
	}
	return unused;
}

void heartbeat_wake(void)
{
	int waiting;

	if (!sem_getvalue(&to_send, &waiting) && !waiting)
		sem_post(&to_send);
}

void heartbeat_start(void)
{
	sem_init(&to_send, 0, 0);
	start_thread(receive, NULL, RECEIVER_PRIORITY);
	start_thread(transmit, NULL, SENDER_PRIORITY);
}
