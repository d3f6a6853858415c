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
#define BY_UUID "nqn.2014-08.org.nvmexpress:uuid:"

int nvme_attach(const struct cb_nvme *command, uint64_t *bytes)
{
	const unsigned char *octets = (const unsigned char *)&command->address;
	int fd = open(FABRICS, O_RDWR), length, error;
	char options[384];

	if (fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	/* A name needs an id of its own: 6.12 refuses it with the id that the kernel has by default. */
	length = snprintf(options, sizeof(options),
			  "transport=tcp,traddr=%u.%u.%u.%u,trsvcid=%u,nqn=%s,hostnqn=" BY_UUID
			  "%s,hostid=%s",
			  octets[0], octets[1], octets[2], octets[3], ntohs(command->port),
			  command->subsystem, command->host, command->host);
	error = write(fd, options, length) == length ? 0 : -errno;
	close(fd);
	/* The connections of an earlier command, whose disk was late, are there. */
	return error && error != -EALREADY ? error : disk_wait(NVME_DEVICE, bytes);
}
