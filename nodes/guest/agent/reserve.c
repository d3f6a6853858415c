// SPDX-License-Identifier: Apache-2.0
/* The reserve: min_free_kbytes, whose file is opened at the start, when there is memory for that. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent.h"

#define FILE_NAME "/proc/sys/vm/min_free_kbytes"

static int fd = -1;

void reserve_open(void)
{
	fd = open(FILE_NAME, O_WRONLY);
	if (fd < 0)
		fail(FILE_NAME, errno);
}

int reserve_set(const struct cb_reserve *command)
{
	char text[16];
	int bytes = snprintf(text, sizeof(text), "%u", command->kib);

	return pwrite(fd, text, bytes, 0) == bytes ? 0 : -errno;
}
