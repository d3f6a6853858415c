// SPDX-License-Identifier: Apache-2.0
/* The memory that the host shares: a PCI device without a driver and without interrupts. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "agent.h"

#define DEVICES "/sys/bus/pci/devices"
#define IVSHMEM "0x1af41110"

struct cb_agent *agent;

static unsigned char *memory;

void *shared_at(size_t offset)
{
	return memory + offset;
}

/* Read the first bytes of a file of a device; returns how many. */
static ssize_t read_file(const char *device, const char *name, char *to, size_t bytes)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", device, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	n = read(fd, to, bytes);
	close(fd);
	return n;
}

static int is_ivshmem(const char *device)
{
	char id[11] = "0x";
	char vendor[6], model[6];

	if (read_file(device, "vendor", vendor, sizeof(vendor)) != sizeof(vendor) ||
	    read_file(device, "device", model, sizeof(model)) != sizeof(model))
		return 0;
	memcpy(id + 2, vendor + 2, 4);
	memcpy(id + 6, model + 2, 4);
	return !strcmp(id, IVSHMEM);
}

static int map_device(const char *device)
{
	char path[PATH_MAX];
	void *mapped;
	int fd;

	snprintf(path, sizeof(path), DEVICES "/%s/enable", device);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		return -errno;
	close(fd);
	snprintf(path, sizeof(path), DEVICES "/%s/resource2", device);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	mapped = mmap(NULL, CB_SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped == MAP_FAILED)
		return -errno;
	memory = mapped;
	agent = shared_at(CB_AGENT_AT);
	return agent->magic == CB_MAGIC && agent->version == CB_VERSION ? 0 : -EPROTO;
}

int shared_map(void)
{
	struct dirent *entry;
	int error = -ENODEV;
	DIR *devices = opendir(DEVICES);

	if (!devices)
		return -errno;
	while (error == -ENODEV && (entry = readdir(devices)))
		if (is_ivshmem(entry->d_name))
			error = map_device(entry->d_name);
	closedir(devices);
	return error;
}

void power_off(void)
{
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

void fail(const char *what, int error)
{
	fprintf(stderr, "crunchbed: %s: %s\n", what, strerror(error));
	if (agent) {
		strncpy(agent->failure, what, sizeof(agent->failure) - 1);
		agent->error = error;
		__atomic_store_n(&agent->state, CB_STATE_FAILED, __ATOMIC_RELEASE);
	}
	power_off();
}
