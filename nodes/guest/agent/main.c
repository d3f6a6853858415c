// SPDX-License-Identifier: Apache-2.0
/*
 * agent ADDRESS PORT: the first process of a guest, once init has loaded the modules.
 * agent failed WHAT: tells the host that there will be no agent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t bytes = strlen(text);

	if (fd < 0 || write(fd, text, bytes) != bytes)
		fail(path, errno);
	close(fd);
}

static void say_kernel(void)
{
	struct utsname name;

	if (!uname(&name))
		memccpy(agent->release, name.release, 0, sizeof(agent->release) - 1);
}

/* A signal that interrupts NBD_DO_IT ends the block device. */
static void block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

int main(int count, char **arguments)
{
	struct in_addr address;
	int error;

	error = shared_map();
	if (error)
		fail("no memory is shared with the host", -error);
	if (count != 3)
		fail("usage: agent ADDRESS PORT", EINVAL);
	if (!strcmp(arguments[1], "failed"))
		fail(arguments[2], ENODEV);
	if (!inet_aton(arguments[1], &address))
		fail("no IPv4 address", EINVAL);
	say_kernel();
	block_signals();
	task_start();
	write_file("/proc/self/oom_score_adj", "-1000");
	error = heartbeat_open(address, htons(atoi(arguments[2])));
	if (error)
		fail("no socket for heartbeats", -error);
	reserve_open();
	write_start();
	disk_start();
	heartbeat_start();
	start_thread(control_run, NULL, CONTROL_PRIORITY);
	/* Last, so that the stacks are locked with the rest. */
	if (mlockall(MCL_CURRENT))
		fail("mlockall", errno);
	for (;;)
		pause();
}
