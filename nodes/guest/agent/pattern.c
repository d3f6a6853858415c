// SPDX-License-Identifier: Apache-2.0
/*
 * Blocks that prove who wrote them and when: the format of nodes/block/pattern.py, which reads them
 * back.
 *
 * A checksum over 4096 bytes for every block would be most of what an emulated processor does. The
 * filler is one byte, so the sums of all 256 fillers are computed once; what the header's sum
 * becomes by the bytes behind it is a linear map (zlib's crc32_combine()), for which 32 words are
 * enough.
 */
#include <string.h>

#include "agent.h"

#define POLYNOMIAL 0xedb88320u

struct header {
	char magic[8];
	uint16_t node;
	uint16_t incarnation;
	uint32_t unused;
	uint64_t sequence;
	uint64_t block;
	uint32_t checksum;
} __attribute__((packed));

#define FILLER_BYTES (BLOCK_BYTES - sizeof(struct header))

static uint32_t table[256];
static uint32_t filler_sum[256];
static uint32_t after_filler[32];	/* what each bit of a sum becomes */

static uint32_t step(uint32_t state, unsigned char byte)
{
	return table[(state ^ byte) & 0xff] ^ state >> 8;
}

static uint32_t repeat(uint32_t state, unsigned char byte)
{
	size_t i;

	for (i = 0; i < FILLER_BYTES; i++)
		state = step(state, byte);
	return state;
}

void pattern_init(void)
{
	int i, bit;

	for (i = 0; i < 256; i++) {
		table[i] = i;
		for (bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? POLYNOMIAL : 0);
	}
	for (i = 0; i < 256; i++)
		filler_sum[i] = ~repeat(~0u, i);
	for (bit = 0; bit < 32; bit++)
		after_filler[bit] = repeat(1u << bit, 0);
}

static uint32_t sum_of(const struct header *header)
{
	const unsigned char *byte = (const unsigned char *)header;
	uint32_t state = ~0u, sum;
	size_t i;

	for (i = 0; i < sizeof(*header); i++)
		state = step(state, byte[i]);
	sum = filler_sum[header->sequence & 0xff];
	for (state = ~state, i = 0; state; state >>= 1, i++)
		if (state & 1)
			sum ^= after_filler[i];
	return sum;
}

void pattern_fill(unsigned char *block, const struct stamp *stamp)
{
	struct header header = { .magic = { 'c', 'r', 'u', 'n', 'c', 'h', 'b', 'd' },
				 .node = stamp->node, .incarnation = stamp->incarnation,
				 .sequence = stamp->sequence, .block = stamp->block };

	header.checksum = sum_of(&header);
	memcpy(block, &header, sizeof(header));
	memset(block + sizeof(header), stamp->sequence & 0xff, FILLER_BYTES);
}
