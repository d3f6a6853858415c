// SPDX-License-Identifier: Apache-2.0
/*
 * Corosync's process and its log. The log is a pipe, whose one page the kernel uses again and again
 * as long as its reader keeps up: a line needs no memory.
 */
#define _GNU_SOURCE	/* pipe2, memmem */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watcher.h"

#define COROSYNC "/usr/sbin/corosync"
#define CONFIGURATION "/etc/corosync/corosync.conf"
#define LONGEST_LINE 480	/* of what is told; corosync says nothing longer of a node */
#define THREAD_STACK (1 << 20)	/* corosync locks all of it for each of knet's threads */

static pid_t corosync;

/*
 * From a new ring until its services are synchronized, corosync 3.1.7 reads no client's question,
 * and one that waits has its loop poll without a pause. With a ring that nodes leave before it is
 * synchronized that takes seconds. So nothing is asked then.
 */
static int answers;

int corosync_answers(void)
{
	return answers;
}

static void write_configuration(void)
{
	ssize_t bytes = told->bytes;
	int fd = open(CONFIGURATION, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, told->configuration, bytes) != bytes)
		fail(CONFIGURATION, errno);
	close(fd);
}

static _Noreturn void become_corosync(int log)
{
	static char *const arguments[] = { "corosync", "-f", "-c", CONFIGURATION, NULL };
	static char *const environment[] = { "PATH=/usr/sbin:/bin", NULL };
	struct rlimit stack = { THREAD_STACK, THREAD_STACK };

	setrlimit(RLIMIT_STACK, &stack);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execve(COROSYNC, arguments, environment);
	_exit(127);
}

int corosync_start(void)
{
	int ends[2];

	write_configuration();
	if (pipe2(ends, O_CLOEXEC))
		fail("no pipe for corosync's log", errno);
	corosync = fork();
	if (corosync < 0)
		fail("no process for corosync", errno);
	if (!corosync)
		become_corosync(ends[1]);
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return ends[0];
}

static void say(const char *line, size_t bytes)
{
	struct cb_corosync_line said = { .at_ns = now_ns() };

	if (memmem(line, bytes, "A new membership", 16))
		answers = 0;
	else if (memmem(line, bytes, "Completed service synchronization", 33))
		answers = 1;
	said.bytes = bytes;
	ring_put(CB_RING_COROSYNC, CB_COROSYNC_LINE, 0, &said, sizeof(said), line, bytes);
}

/* Tell whole lines; returns how much of the text is left. */
static size_t say_lines(char *text, size_t bytes)
{
	size_t done = 0;
	char *end;

	while ((end = memchr(text + done, '\n', bytes - done))) {
		say(text + done, end - text - done);
		done = end - text + 1;
	}
	memmove(text, text + done, bytes - done);
	return bytes - done;
}

static void say_ended(void)
{
	struct cb_done ended = {};
	int status = 0;

	waitpid(corosync, &status, 0);
	answers = 0;
	ended.result = status;
	ended.at_ns = now_ns();
	ring_put(CB_RING_COROSYNC, CB_COROSYNC_ENDED, 0, &ended, sizeof(ended), NULL, 0);
}

int corosync_read_log(int log)
{
	static char text[LONGEST_LINE];
	static size_t bytes;
	ssize_t more;

	while ((more = read(log, text + bytes, sizeof(text) - bytes)) > 0) {
		bytes = say_lines(text, bytes + more);
		if (bytes == sizeof(text)) {
			say(text, bytes);
			bytes = 0;
		}
	}
	if (more < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	say_ended();
	return 0;
}
