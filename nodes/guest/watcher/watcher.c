// SPDX-License-Identifier: Apache-2.0
/*
 * watcher: corosync and its watcher, which init starts before the agent.
 *
 * Both run at the lowest real-time priority, below all that the agent does and below the module,
 * which must be able to end a window. Corosync would take the highest by itself, 99.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "watcher.h"

#define TURN_MS 50
#define COUNT_NS 1000000000ull

const struct cb_corosync *told;

static void get_priority(void)
{
	struct sched_param lowest = { .sched_priority = 1 };
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	if (sched_setscheduler(0, SCHED_RR, &lowest))
		fail("no real-time priority for corosync", errno);
	if (fd < 0 || write(fd, "-1000", 5) != 5)
		fail("oom_score_adj of corosync", errno);
	close(fd);
}

static void watch(int log)
{
	struct pollfd waiting[] = { { .fd = log, .events = POLLIN },
				    { .fd = -1, .events = POLLIN } };
	struct pollfd *membership = waiting + 1;
	uint64_t due_ns = 0;

	for (;;) {
		if (membership->fd < 0 && corosync_answers())
			membership->fd = membership_connect();
		if (poll(waiting, 2, TURN_MS) < 0)
			continue;
		if (membership->revents && !membership_dispatch())
			membership->fd = -1;
		if (waiting->revents && !corosync_read_log(log))
			return;
		if (membership->fd >= 0 && corosync_answers() && now_ns() >= due_ns) {
			due_ns = now_ns() + COUNT_NS;
			membership_count_packets();
		}
	}
}

int main(void)
{
	int error = shared_map();

	if (error)
		fail("no memory is shared with the host", -error);
	told = shared_at(CB_COROSYNC_AT);
	if (!told->nodes || told->bytes > sizeof(told->configuration))
		fail("corosync has no configuration", EINVAL);
	get_priority();
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		fail("mlockall", errno);
	watch(corosync_start());
	for (;;)
		pause();
}
