// SPDX-License-Identifier: Apache-2.0
/* Threads, time, and the handing over of commands. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "agent.h"

#define STACK_BYTES (64 * 1024)	/* all of it is locked in memory: the usual 8 MiB are too many */

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

void nap_us(unsigned long us)
{
	struct timespec nap = { us / 1000000, us % 1000000 * 1000 };

	while (nanosleep(&nap, &nap) && errno == EINTR)
		;
}

void start_thread(void *(*body)(void *), void *argument, int priority)
{
	struct sched_param parameter = { .sched_priority = priority };
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attributes, priority ? SCHED_FIFO : SCHED_OTHER);
	pthread_attr_setschedparam(&attributes, &parameter);
	error = pthread_create(&thread, &attributes, body, argument);
	if (error)
		fail("no thread", error);
}

void mailbox_init(struct mailbox *box, int between_processes)
{
	sem_init(&box->full, between_processes, 0);
}

int mailbox_post(struct mailbox *box, const struct cb_message *message)
{
	size_t bytes = message->bytes - sizeof(*message);

	if (__atomic_load_n(&box->busy, __ATOMIC_ACQUIRE))
		return -EBUSY;
	if (bytes > sizeof(box->body))
		return -EMSGSIZE;
	box->id = message->id;
	box->kind = message->kind;
	memcpy(box->body, message + 1, bytes);
	box->busy = 1;
	sem_post(&box->full);
	return 0;
}

void mailbox_wait(struct mailbox *box)
{
	while (sem_wait(&box->full))
		;
}

void mailbox_done(struct mailbox *box)
{
	__atomic_store_n(&box->busy, 0, __ATOMIC_RELEASE);
}
