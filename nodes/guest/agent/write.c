// SPDX-License-Identifier: Apache-2.0
/*
 * Writers: each writes its part of a range round and round, past the page cache, one request at a
 * time. No two share a block, so that of one block the last acknowledged write is the newest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent.h"

#define MAX_BLOCKS 16

static struct writer {
	int number;
	sem_t begin;
	int wanted;
	int running;		/* a write that is on its way outlasts the wish */
	uint64_t done;		/* requests of this writer */
	_Alignas(BLOCK_BYTES) unsigned char data[MAX_BLOCKS * BLOCK_BYTES];
} writers[CB_WRITERS];

static struct cb_write settings;
static uint64_t sequence;	/* of the node; every request has one of its own */

static void fill(struct writer *writer, uint64_t number, uint64_t block)
{
	struct stamp stamp = { .node = settings.node, .incarnation = settings.incarnation,
			       .sequence = number };
	uint32_t i;

	for (i = 0; i < settings.blocks; i++) {
		stamp.block = block + i;
		pattern_fill(writer->data + i * BLOCK_BYTES, &stamp);
	}
}

static void write_once(struct writer *writer, int fd)
{
	uint64_t share = settings.range_blocks / settings.writers / settings.blocks;
	size_t bytes = (size_t)settings.blocks * BLOCK_BYTES;
	struct cb_writing *writing = &agent->writing[writer->number];
	struct cb_written written = { .blocks = settings.blocks };

	written.sequence = __atomic_add_fetch(&sequence, 1, __ATOMIC_RELAXED);
	written.block = settings.first_block +
			(writer->number * share + writer->done++ % share) * settings.blocks;
	fill(writer, written.sequence, written.block);
	written.begun_ns = now_ns();
	writing->sequence = written.sequence;
	writing->begun_ns = written.begun_ns;
	if (pwrite(fd, writer->data, bytes, written.block * BLOCK_BYTES) != (ssize_t)bytes)
		written.error = errno ? errno : EIO;
	writing->begun_ns = 0;
	written.at_ns = now_ns();
	ring_put(CB_RING_WRITER + writer->number, CB_WRITTEN, 0, &written, sizeof(written), NULL,
		 0);
}

static void *run(void *argument)
{
	struct writer *writer = argument;
	int fd;

	for (;;) {
		while (sem_wait(&writer->begin))
			;
		fd = open(disk_path(), O_RDWR | O_DIRECT);
		while (fd >= 0 && __atomic_load_n(&writer->wanted, __ATOMIC_ACQUIRE)) {
			write_once(writer, fd);
			nap_us(settings.pause_us);
		}
		if (fd >= 0)
			close(fd);
		__atomic_store_n(&writer->running, 0, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int any_runs(void)
{
	int i, running = 0;

	for (i = 0; i < CB_WRITERS; i++)
		running |= __atomic_load_n(&writers[i].running, __ATOMIC_ACQUIRE);
	return running;
}

int write_command(const struct cb_write *command)
{
	uint32_t i;

	if (!command->writers) {
		for (i = 0; i < CB_WRITERS; i++)
			__atomic_store_n(&writers[i].wanted, 0, __ATOMIC_RELEASE);
		return 0;
	}
	if (any_runs())
		return -EBUSY;
	if (command->writers > CB_WRITERS || !command->blocks || command->blocks > MAX_BLOCKS ||
	    command->range_blocks < (uint64_t)command->writers * command->blocks)
		return -EINVAL;
	settings = *command;
	for (i = 0; i < command->writers; i++) {
		writers[i].wanted = 1;
		writers[i].running = 1;
		sem_post(&writers[i].begin);
	}
	return 0;
}

void write_start(void)
{
	int i;

	pattern_init();
	for (i = 0; i < CB_WRITERS; i++) {
		writers[i].number = i;
		sem_init(&writers[i].begin, 0, 0);
		start_thread(run, &writers[i], 0);
	}
}
