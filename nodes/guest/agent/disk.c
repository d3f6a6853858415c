// SPDX-License-Identifier: Apache-2.0
/* The block device, over NBD, iSCSI or NVMe/TCP, and swap on it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <unistd.h>

#include "agent.h"

#define SWAP_PARTITION 1
#define WAIT_NAPS 500
#define WAIT_NAP_US 20000

static const struct device {
	const char *whole, *swap;
} devices[] = {
	{ NVME_DEVICE, NVME_DEVICE "p1" },
	{ ISCSI_DEVICE, ISCSI_DEVICE "1" },
	{ NBD_DEVICE, NBD_DEVICE "p1" },	/* there from the boot on, without a disk */
};

static struct mailbox box;

/* A guest keeps the disk that it has; the task is another process, and asks too. */
static const struct device *used(void)
{
	const struct device *device = devices;
	const struct device *last = device + sizeof(devices) / sizeof(*devices) - 1;

	while (device < last && access(device->whole, F_OK))
		device++;
	return device;
}

const char *disk_path(void)
{
	return used()->whole;
}

int disk_wait(const char *path, uint64_t *bytes)
{
	int i, fd, error = -ETIMEDOUT;

	for (i = 0; i < WAIT_NAPS && error; i++) {
		fd = open(path, O_RDWR);
		if (fd >= 0) {
			error = ioctl(fd, BLKGETSIZE64, bytes) ? -errno : 0;
			close(fd);
		} else {
			nap_us(WAIT_NAP_US);
		}
	}
	return error;
}

int disk_post(const struct cb_message *message)
{
	return mailbox_post(&box, message);
}

/* A swap area without a label: see mm/swapfile.c, read_swap_header(). */
static int make_swap(uint32_t pages)
{
	static _Alignas(BLOCK_BYTES) unsigned char header[BLOCK_BYTES];
	uint32_t info[3] = { 1, pages - 1, 0 };		/* version, last page, bad pages */
	int fd = open(disk_path(), O_RDWR | O_DIRECT);
	ssize_t n;

	if (fd < 0)
		return -errno;
	memcpy(header + 1024, info, sizeof(info));
	memcpy(header + BLOCK_BYTES - 10, "SWAPSPACE2", 10);
	n = pwrite(fd, header, BLOCK_BYTES, 0);
	close(fd);
	return n == BLOCK_BYTES ? 0 : -EIO;
}

/*
 * The kernel refuses writes to a device that it swaps to (ETXTBSY), so the swap area is a partition
 * and the writers go on with the whole device. Of 0 pages: there is no such partition any more.
 */
static int partition(uint32_t pages)
{
	struct blkpg_partition area = { .length = (long long)pages * BLOCK_BYTES,
					.pno = SWAP_PARTITION };
	struct blkpg_ioctl_arg request = { .op = pages ? BLKPG_ADD_PARTITION : BLKPG_DEL_PARTITION,
					   .datalen = sizeof(area),
					   .data = &area };
	int fd = open(disk_path(), O_RDWR), error;

	if (fd < 0)
		return -errno;
	error = ioctl(fd, BLKPG, &request) ? -errno : 0;
	close(fd);
	return error;
}

static int swap(const struct cb_swap *command)
{
	int error;

	if (!command->pages)
		return swapoff(used()->swap) ? -errno : partition(0);
	error = make_swap(command->pages);
	if (!error)
		error = partition(command->pages);
	if (error)
		return error;
	if (!swapon(used()->swap, 0))
		return 0;
	error = -errno;
	partition(0);
	return error;
}

static int carry_out(uint64_t *value)
{
	void *body = box.body;

	switch (box.kind) {
	case CB_CONNECT:
		return nbd_attach(body, value);
	case CB_LOGIN:
		return iscsi_attach(body, value);
	case CB_NVME:
		return nvme_attach(body, value);
	case CB_SWAP:
		return swap(body);
	default:
		return nbd_disconnect();
	}
}

static void *command_run(void *unused)
{
	uint64_t value;
	int result;

	for (;;) {
		mailbox_wait(&box);
		value = 0;
		result = carry_out(&value);
		ring_done(CB_RING_DISK, box.id, result, value);
		mailbox_done(&box);
	}
	return unused;
}

void disk_start(void)
{
	mailbox_init(&box, 0);
	nbd_start();
	start_thread(command_run, NULL, 0);
}
