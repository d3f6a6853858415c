// SPDX-License-Identifier: Apache-2.0
/* Rings of messages in the shared memory. Each has one writer and one reader: see shared.h. */
#include <errno.h>
#include <string.h>

#include "agent.h"

#define ROUND_UP(bytes) (((bytes) + 7) & ~(size_t)7)

static struct cb_ring *ring_at(enum cb_ring_name name)
{
	return (struct cb_ring *)shared_at(CB_RINGS_AT) + name;
}

static unsigned char *data_at(enum cb_ring_name name, uint64_t position)
{
	return shared_at(CB_DATA_AT + (size_t)name * CB_RING_BYTES + position % CB_RING_BYTES);
}

static size_t to_end(uint64_t position)
{
	return CB_RING_BYTES - position % CB_RING_BYTES;
}

/* Nobody can go on after a message that no host of this version writes. */
static void check(const struct cb_message *message, uint64_t tail, uint64_t head)
{
	size_t least = message->kind == CB_PAD ? 8 : sizeof(*message);

	if (message->bytes < least || message->bytes % 8 || message->bytes > head - tail ||
	    message->bytes > to_end(tail))
		fail("a command ring is broken", EPROTO);
}

const struct cb_message *ring_peek(enum cb_ring_name name)
{
	struct cb_ring *ring = ring_at(name);
	const struct cb_message *message;
	uint64_t head;

	for (;;) {
		head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
		if (head == ring->tail)
			return NULL;
		message = (const struct cb_message *)data_at(name, ring->tail);
		check(message, ring->tail, head);
		if (message->kind != CB_PAD)
			return message;
		ring_next(name);
	}
}

void ring_next(enum cb_ring_name name)
{
	struct cb_ring *ring = ring_at(name);
	const struct cb_message *message = (const void *)data_at(name, ring->tail);

	__atomic_store_n(&ring->tail, ring->tail + message->bytes, __ATOMIC_RELEASE);
}

static void put_header(enum cb_ring_name name, uint64_t at, size_t bytes, uint16_t kind,
		       uint64_t id)
{
	struct cb_message header = { .bytes = bytes, .kind = kind, .id = id };

	/* Padding may be 8 bytes, which has room for its length and kind only. */
	memcpy(data_at(name, at), &header, bytes < sizeof(header) ? bytes : sizeof(header));
}

void ring_put(enum cb_ring_name name, enum cb_event kind, uint64_t id, const void *body,
	      size_t body_bytes, const void *payload, size_t payload_bytes)
{
	size_t bytes = ROUND_UP(sizeof(struct cb_message) + body_bytes + payload_bytes);
	struct cb_ring *ring = ring_at(name);
	uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	uint64_t head = ring->head;
	size_t pad = to_end(head) < bytes ? to_end(head) : 0;
	unsigned char *to;

	if (head + pad + bytes - tail > CB_RING_BYTES) {
		ring->lost++;
		return;
	}
	if (pad)
		put_header(name, head, pad, CB_PAD, 0);
	head += pad;
	put_header(name, head, bytes, kind, id);
	to = data_at(name, head) + sizeof(struct cb_message);
	memcpy(to, body, body_bytes);
	if (payload_bytes)
		memcpy(to + body_bytes, payload, payload_bytes);
	__atomic_store_n(&ring->head, head + bytes, __ATOMIC_RELEASE);
}

void ring_done(enum cb_ring_name name, uint64_t id, int64_t result, uint64_t value)
{
	struct cb_done done = { .result = result, .value = value, .at_ns = now_ns() };

	ring_put(name, CB_DONE, id, &done, sizeof(done), NULL, 0);
}
