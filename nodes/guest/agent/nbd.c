// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's NBD over a socket that the agent keeps, so that its flag can be set and cleared at
 * any time; the kernel sets it when the device starts.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent.h"

#define STARTED "/sys/block/nbd0/pid"
#define START_NAPS 100
#define START_NAP_US 20000

#define NBD_MAGIC 0x4e42444d41474943ull
#define OPTION_MAGIC 0x49484156454f5054ull
#define CLIENT_FIXED_NO_ZEROES 3
#define OPTION_EXPORT_NAME 1

struct greeting {
	uint64_t magic;
	uint64_t option_magic;
	uint16_t flags;
} __attribute__((packed));

struct export_request {
	uint32_t flags;
	uint64_t magic;
	uint32_t option;
	uint32_t length;
} __attribute__((packed));

struct export_answer {
	uint64_t bytes;
	uint16_t flags;
} __attribute__((packed));

static sem_t serve;		/* there is a connection for the kernel to serve */
static int sock = -1;
static int device = -1;

int nbd_socket(void)
{
	return __atomic_load_n(&sock, __ATOMIC_ACQUIRE);
}

static int transfer(int fd, void *data, size_t bytes, int out)
{
	ssize_t n = out ? send(fd, data, bytes, MSG_NOSIGNAL) : recv(fd, data, bytes, MSG_WAITALL);

	if (n == (ssize_t)bytes)
		return 0;
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return -ECONNRESET;
}

static int negotiate(int fd, const char *name, struct export_answer *answer)
{
	size_t length = strnlen(name, sizeof(((struct cb_connect *)0)->export_name));
	struct export_request request = { .flags = htobe32(CLIENT_FIXED_NO_ZEROES),
					  .magic = htobe64(OPTION_MAGIC),
					  .option = htobe32(OPTION_EXPORT_NAME),
					  .length = htobe32(length) };
	unsigned char out[sizeof(request) + sizeof(((struct cb_connect *)0)->export_name)];
	struct greeting greeting;
	int error = transfer(fd, &greeting, sizeof(greeting), 0);

	if (error)
		return error;
	if (be64toh(greeting.magic) != NBD_MAGIC || be64toh(greeting.option_magic) != OPTION_MAGIC)
		return -EPROTO;
	memcpy(out, &request, sizeof(request));
	memcpy(out + sizeof(request), name, length);
	error = transfer(fd, out, sizeof(request) + length, 1);
	return error ? error : transfer(fd, answer, sizeof(*answer), 0);
}

/* How long reads and writes may take before the kernel has the socket; 0: for ever. */
static void set_patience(int fd, uint32_t ms)
{
	struct timeval patience = { ms / 1000, ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static int dial(const struct cb_connect *command)
{
	struct sockaddr_in target = { .sin_family = AF_INET, .sin_port = command->port };
	int on = 1, bytes = command->send_buffer / 2;	/* the kernel doubles it */
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int error;

	if (fd < 0)
		return -errno;
	target.sin_addr.s_addr = command->address;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* A socket that may draw on the reserve must be bounded by its user. */
	if (bytes)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	set_patience(fd, command->connect_ms);
	if (!connect(fd, (struct sockaddr *)&target, sizeof(target)))
		return fd;
	error = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	close(fd);
	return error;
}

static int hand_to_kernel(int fd, const struct export_answer *answer, unsigned long timeout_s)
{
	unsigned long blocks = be64toh(answer->bytes) / BLOCK_BYTES;

	device = open(NBD_DEVICE, O_RDWR);
	if (device < 0)
		return -errno;
	if (ioctl(device, NBD_SET_BLKSIZE, (unsigned long)BLOCK_BYTES) ||
	    ioctl(device, NBD_SET_SIZE_BLOCKS, blocks) ||
	    ioctl(device, NBD_SET_FLAGS, (unsigned long)be16toh(answer->flags)) ||
	    (timeout_s && ioctl(device, NBD_SET_TIMEOUT, timeout_s)) ||
	    ioctl(device, NBD_SET_SOCK, (unsigned long)fd)) {
		int error = -errno;

		ioctl(device, NBD_CLEAR_SOCK);
		close(device);
		return error;
	}
	return 0;
}

/*
 * The kernel says whose the device is, and flags the socket after that (nbd_start_device()). Who
 * clears the flag before leaves a socket counted as flagged that is not: the kernel fills its
 * reserve for it. The device has its size last: on 6.12 whoever writes before finds no space left.
 */
static int wait_started(int fd, uint64_t bytes)
{
	uint64_t size;
	int i;

	for (i = 0; i < START_NAPS; i++) {
		if (!access(STARTED, F_OK) && memalloc_get(fd) > CB_MEMALLOC_OFF &&
		    !ioctl(device, BLKGETSIZE64, &size) && size >= bytes - bytes % BLOCK_BYTES)
			return 0;
		nap_us(START_NAP_US);
	}
	return -ETIMEDOUT;
}

int nbd_attach(const struct cb_connect *command, uint64_t *bytes)
{
	struct export_answer answer;
	int fd, error;

	if (nbd_socket() >= 0)
		return -EISCONN;
	fd = dial(command);
	if (fd < 0)
		return fd;
	error = negotiate(fd, command->export_name, &answer);
	set_patience(fd, 0);
	if (!error)
		error = hand_to_kernel(fd, &answer, command->timeout_s);
	if (error) {
		close(fd);
		return error;
	}
	*bytes = be64toh(answer.bytes);
	__atomic_store_n(&sock, fd, __ATOMIC_RELEASE);
	sem_post(&serve);
	return wait_started(fd, *bytes);
}

/* Serves connections one after the other: NBD_DO_IT returns when the device ends. */
static void *serve_run(void *unused)
{
	int result, fd;

	for (;;) {
		while (sem_wait(&serve))
			;
		result = ioctl(device, NBD_DO_IT) ? -errno : 0;
		ioctl(device, NBD_CLEAR_QUE);
		ioctl(device, NBD_CLEAR_SOCK);
		fd = nbd_socket();
		__atomic_store_n(&sock, -1, __ATOMIC_RELEASE);
		/* Nobody counts a flagged socket down when it is closed. */
		memalloc_set(fd, CB_MEMALLOC_OFF);
		close(fd);
		close(device);
		ring_done(CB_RING_DISK_ENDED, 0, result, 0);
	}
	return unused;
}

int nbd_disconnect(void)
{
	if (nbd_socket() < 0)
		return -ENOTCONN;
	return ioctl(device, NBD_DISCONNECT) ? -errno : 0;
}

void nbd_start(void)
{
	sem_init(&serve, 0, 0);
	start_thread(serve_run, NULL, 0);
}
