// SPDX-License-Identifier: Apache-2.0
/* Neighbours, the card's ring, the socket that nobody reads, and SO_MEMALLOC. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"

static int sink = -1;

int memalloc_set(int socket, int value)
{
	if (setsockopt(socket, IPPROTO_IP, CB_SO_MEMALLOC, &value, sizeof(value)))
		return -errno;
	return 0;
}

int memalloc_get(int socket)
{
	socklen_t bytes = sizeof(int);
	int value;

	if (getsockopt(socket, IPPROTO_IP, CB_SO_MEMALLOC, &value, &bytes))
		return -errno;
	return value;
}

int neighbour_set(const struct cb_neighbour *neighbour)
{
	static const unsigned char nobody[sizeof(neighbour->mac)];
	int delete = !memcmp(neighbour->mac, nobody, sizeof(nobody));
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct arpreq request = { .arp_flags = ATF_PERM | ATF_COM, .arp_dev = "eth0" };

	address.sin_addr.s_addr = neighbour->address;
	memcpy(&request.arp_pa, &address, sizeof(address));
	request.arp_ha.sa_family = ARPHRD_ETHER;
	memcpy(request.arp_ha.sa_data, neighbour->mac, sizeof(neighbour->mac));
	if (ioctl(heartbeat_socket(), delete ? SIOCDARP : SIOCSARP, &request))
		return -errno;
	return 0;
}

int receive_descriptors(void)
{
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_GRINGPARAM };
	struct ifreq request = { .ifr_name = "eth0", .ifr_data = (void *)&ring };

	return ioctl(heartbeat_socket(), SIOCETHTOOL, &request) ? -errno : (int)ring.rx_pending;
}

int sink_socket(void)
{
	return sink;
}

static void close_sink(void)
{
	if (sink < 0)
		return;
	memalloc_set(sink, CB_MEMALLOC_OFF);	/* nobody counts a closed socket down */
	close(sink);
	sink = -1;
}

int sink_set(const struct cb_sink *command)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = command->port };
	int bytes = command->receive_buffer / 2;	/* the kernel doubles it */
	int error;

	close_sink();
	if (!command->port)
		return 0;
	sink = socket(AF_INET, SOCK_DGRAM, 0);
	if (sink < 0)
		return -errno;
	if ((!bytes || !setsockopt(sink, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes))) &&
	    !bind(sink, (struct sockaddr *)&address, sizeof(address)))
		return 0;
	error = -errno;
	close_sink();
	return error;
}

uint64_t sink_bytes(void)
{
	uint32_t told[SK_MEMINFO_VARS] = {};
	socklen_t bytes = sizeof(told);

	if (sink < 0 || getsockopt(sink, SOL_SOCKET, SO_MEMINFO, told, &bytes))
		return 0;
	return told[SK_MEMINFO_RMEM_ALLOC];
}
