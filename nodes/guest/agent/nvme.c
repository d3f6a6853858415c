// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's NVMe over TCP: one write makes the connections, and the kernel goes on by itself
 * from then on. It makes new connections where they are lost, and the disk stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent.h"

#define FABRICS "/dev/nvme-fabrics"

int nvme_attach(const struct cb_nvme *command, uint64_t *bytes)
{
	const unsigned char *octets = (const unsigned char *)&command->address;
	int fd = open(FABRICS, O_RDWR), length, error;
	char options[256];

	if (fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	length = snprintf(options, sizeof(options),
			  "transport=tcp,traddr=%u.%u.%u.%u,trsvcid=%u,nqn=%s,hostnqn=%s",
			  octets[0], octets[1], octets[2], octets[3], ntohs(command->port),
			  command->subsystem, command->host);
	error = write(fd, options, length) == length ? 0 : -errno;
	close(fd);
	/* The connections of an earlier command, whose disk was late, are there. */
	return error && error != -EALREADY ? error : disk_wait(NVME_DEVICE, bytes);
}
