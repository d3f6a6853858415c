// SPDX-License-Identifier: Apache-2.0
/* The control thread: once a millisecond it says that it lives and looks for commands. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "agent.h"

#define TURN_US 1000

static int module = -1;

static const size_t body_bytes[] = {
	[CB_FLAG] = sizeof(struct cb_flag),
	[CB_LEVEL] = sizeof(struct cb_level),
	[CB_BALLAST] = sizeof(struct cb_ballast),
	[CB_CONNECT] = sizeof(struct cb_connect),
	[CB_WRITE] = sizeof(struct cb_write),
	[CB_SWAP] = sizeof(struct cb_swap),
	[CB_DIRTY] = sizeof(struct cb_dirty),
	[CB_NEIGHBOUR] = sizeof(struct cb_neighbour),
	[CB_SINK] = sizeof(struct cb_sink),
	[CB_RESERVE] = sizeof(struct cb_reserve),
	[CB_POWEROFF] = 0,
	[CB_FLAG_PORT] = sizeof(struct cb_flag_port),
	[CB_LOGIN] = sizeof(struct cb_login),
	[CB_NVME] = sizeof(struct cb_nvme),
};

static int64_t request(unsigned long name, void *argument)
{
	int result = ioctl(module, name, argument);

	return result < 0 ? -errno : result;
}

static int64_t window(const struct cb_message *message)
{
	struct cb_window_request window = { .id = message->id };

	window.level = *(const struct cb_level *)(message + 1);
	return request(CB_IOC_WINDOW, &window);
}

static int socket_of(uint32_t name)
{
	switch (name) {
	case CB_SOCKET_DISK:
		return nbd_socket();
	case CB_SOCKET_SINK:
		return sink_socket();
	default:
		return heartbeat_socket();
	}
}

/* Returns the flag as it is afterwards. */
static int64_t flag(const struct cb_flag *command)
{
	int fd = socket_of(command->socket), error;

	if (fd < 0)
		return -ENOTCONN;
	error = memalloc_set(fd, command->value);
	return error ? error : memalloc_get(fd);
}

static int64_t set_sink(const struct cb_sink *command)
{
	int64_t error = sink_set(command);

	ioctl(module, CB_IOC_GUARD, (unsigned long)(sink_socket() >= 0));
	return error;
}

/* Carry out what takes no time; returns the result. */
static int64_t carry_out(const struct cb_message *message)
{
	void *body = (void *)(message + 1);

	switch (message->kind) {
	case CB_PING:
		return 0;
	case CB_FLAG:
		return flag(body);
	case CB_LEVEL:
		return window(message);
	case CB_CALM:
		return request(CB_IOC_CALM, NULL);
	case CB_BALLAST:
		return request(CB_IOC_BALLAST, body);
	case CB_WRITE:
		return write_command(body);
	case CB_NEIGHBOUR:
		return neighbour_set(body);
	case CB_SINK:
		return set_sink(body);
	case CB_RESERVE:
		return reserve_set(body);
	case CB_FLAG_PORT:
		return request(CB_IOC_FLAG_PORT, body);
	case CB_PROBE:
		return request(CB_IOC_PROBE, NULL);
	case CB_DESCRIPTORS:
		return receive_descriptors();
	case CB_POWEROFF:
		power_off();
	default:
		return -EOPNOTSUPP;
	}
}

static void dispatch(const struct cb_message *message)
{
	size_t known = sizeof(body_bytes) / sizeof(*body_bytes);
	int64_t result;

	if (message->kind < known &&
	    message->bytes - sizeof(*message) < body_bytes[message->kind]) {
		ring_done(CB_RING_ANSWERS, message->id, -EINVAL, 0);
		return;
	}
	switch (message->kind) {
	case CB_CONNECT:
	case CB_LOGIN:
	case CB_NVME:
	case CB_DISCONNECT:
	case CB_SWAP:
		result = disk_post(message);
		break;
	case CB_DIRTY:
	case CB_CHECK:
		result = task_post(message);
		break;
	default:
		result = carry_out(message);
		ring_done(CB_RING_ANSWERS, message->id, result < 0 ? result : 0,
			  result < 0 ? 0 : result);
		return;
	}
	if (result)		/* who carries it out answers as well */
		ring_done(CB_RING_ANSWERS, message->id, result, 0);
}

static void say_alive(void)
{
	uint64_t now = now_ns();
	uint64_t late = agent->now_ns ? now - agent->now_ns : 0;

	agent->now_ns = now;
	agent->turns++;
	agent->sink_bytes = sink_bytes();
	if (late > agent->late_ns)
		agent->late_ns = late;
}

void *control_run(void *unused)
{
	const struct cb_message *message;

	module = open("/dev/crunchbed", O_RDWR);
	if (module < 0)
		fail("no /dev/crunchbed", errno);
	agent->ready_ns = now_ns();
	__atomic_store_n(&agent->state, CB_STATE_READY, __ATOMIC_RELEASE);
	for (;;) {
		say_alive();
		if (ring_peek(CB_RING_SEND))
			heartbeat_wake();
		while ((message = ring_peek(CB_RING_CONTROL))) {
			dispatch(message);
			ring_next(CB_RING_CONTROL);
		}
		nap_us(TURN_US);
	}
	return unused;
}
