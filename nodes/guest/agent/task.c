// SPDX-License-Identifier: Apache-2.0
/*
 * A normal task that wants memory: it dirties pages and keeps them. It is a process of its own,
 * forked before the agent locks its memory, so that the kernel can swap its pages out and may kill
 * it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent.h"

#define AT_ONCE 16
#define WORDS (BLOCK_BYTES / sizeof(uint64_t))
#define MIX 0x9e3779b97f4a7c15ull	/* no two pages are alike, and none is zero */

static struct mailbox *box;
static uint64_t *pages;
static uint64_t count;

static uint64_t word_of(uint64_t i)
{
	return (i + 1) * MIX;
}

static void give_up(void)
{
	if (pages)
		munmap(pages, count * BLOCK_BYTES);
	pages = NULL;
	count = 0;
}

static int dirty_anonymous(uint32_t wanted)
{
	void *mapped = mmap(NULL, (size_t)wanted * BLOCK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t i;

	if (mapped == MAP_FAILED)
		return -errno;
	pages = mapped;
	count = wanted;
	for (i = 0; i < count * WORDS; i++)
		pages[i] = word_of(i);
	return 0;
}

/* The pages are the page cache's from then on; nobody checks them. */
static int dirty_buffered(const struct cb_dirty *command)
{
	static unsigned char data[AT_ONCE * BLOCK_BYTES];
	int fd = open(disk_path(), O_RDWR), error = 0;
	uint64_t at, bytes;
	uint32_t i;

	if (fd < 0)
		return -errno;
	for (i = 0; i < command->pages && !error; i += AT_ONCE) {
		bytes = command->pages - i < AT_ONCE ? command->pages - i : AT_ONCE;
		bytes *= BLOCK_BYTES;
		at = (command->first_block + i) * BLOCK_BYTES;
		memset(data, i, sizeof(data));
		if (pwrite(fd, data, bytes, at) != (ssize_t)bytes)
			error = -EIO;
	}
	close(fd);
	return error;
}

static uint64_t wrong_pages(void)
{
	uint64_t page, word, wrong = 0;

	for (page = 0; page < count; page++) {
		for (word = 0; word < WORDS; word++)
			if (pages[page * WORDS + word] != word_of(page * WORDS + word))
				break;
		wrong += word < WORDS;
	}
	return wrong;
}

static int dirty(const struct cb_dirty *command)
{
	give_up();
	if (!command->pages)
		return 0;
	if (command->form == CB_DIRTY_BUFFERED)
		return dirty_buffered(command);
	return dirty_anonymous(command->pages);
}

static _Noreturn void run(void)
{
	const struct cb_dirty *command = (void *)box->body;
	int result;

	for (;;) {
		mailbox_wait(box);
		if (box->kind == CB_CHECK) {
			ring_done(CB_RING_TASK, box->id, 0, wrong_pages());
		} else {
			result = dirty(command);
			ring_done(CB_RING_TASK, box->id, result, result ? 0 : command->pages);
		}
		mailbox_done(box);
	}
}

int task_post(const struct cb_message *message)
{
	return mailbox_post(box, message);
}

void task_start(void)
{
	box = mmap(NULL, sizeof(*box), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (box == MAP_FAILED)
		fail("no memory for the task", errno);
	mailbox_init(box, 1);
	switch (fork()) {
	case -1:
		fail("no task", errno);
	case 0:
		run();
	}
}
