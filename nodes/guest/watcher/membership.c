// SPDX-License-Identifier: Apache-2.0
/*
 * What corosync's libraries say. The model's version 1 is used, which tells the nodes that left: a
 * node may leave and be back within one change.
 */
#include <stdio.h>
#include <string.h>

#include <corosync/cmap.h>
#include <corosync/quorum.h>

#include "watcher.h"

static quorum_handle_t quorum;
static cmap_handle_t statistics;
static int counts;	/* whether `statistics` is connected */

static void tell(enum cb_event kind, uint64_t ring, int quorate, uint32_t nodes,
		 const uint32_t *ids)
{
	struct cb_corosync_nodes said = { .at_ns = now_ns(), .ring = ring, .quorate = quorate };

	said.nodes = nodes < CB_MAX_TARGETS ? nodes : CB_MAX_TARGETS;
	if (said.nodes)
		memcpy(said.ids, ids, said.nodes * sizeof(*ids));
	ring_put(CB_RING_COROSYNC, kind, 0, &said, sizeof(said), NULL, 0);
}

static void on_quorum(quorum_handle_t handle, uint32_t quorate, struct quorum_ring_id ring,
		      uint32_t members, const uint32_t *ids)
{
	tell(CB_COROSYNC_QUORUM, ring.seq, quorate != 0, members, ids);
}

static void on_nodes(quorum_handle_t handle, struct quorum_ring_id ring, uint32_t members,
		     const uint32_t *member_ids, uint32_t joined, const uint32_t *joined_ids,
		     uint32_t left, const uint32_t *left_ids)
{
	tell(CB_COROSYNC_LEFT, ring.seq, 0, left, left_ids);
}

int membership_connect(void)
{
	static quorum_model_v1_data_t model = {
		.model = QUORUM_MODEL_V1,
		.quorum_notify_fn = on_quorum,
		.nodelist_notify_fn = on_nodes,
	};
	uint32_t kind;
	int fd;

	if (quorum_model_initialize(&quorum, QUORUM_MODEL_V1, (quorum_model_data_t *)&model,
				    &kind, NULL) != CS_OK)
		return -1;
	if (quorum_trackstart(quorum, CS_TRACK_CURRENT | CS_TRACK_CHANGES) == CS_OK &&
	    quorum_fd_get(quorum, &fd) == CS_OK)
		return fd;
	quorum_finalize(quorum);
	return -1;
}

int membership_dispatch(void)
{
	cs_error_t answer = quorum_dispatch(quorum, CS_DISPATCH_ALL);

	return answer == CS_OK || answer == CS_ERR_TRY_AGAIN;
}

static uint64_t count(uint32_t peer, const char *counter)
{
	char key[CMAP_KEYNAME_MAXLEN + 1];
	uint64_t sum = 0, value;
	uint32_t link;

	for (link = 0; link < told->links; link++) {
		snprintf(key, sizeof(key), "stats.knet.node%u.link%u.%s", peer, link, counter);
		if (cmap_get_uint64(statistics, key, &value) == CS_OK)
			sum += value;
	}
	return sum;
}

void membership_count_packets(void)
{
	struct cb_corosync_packets said = {};
	uint32_t peer;

	if (!counts && cmap_initialize_map(&statistics, CMAP_MAP_STATS) != CS_OK)
		return;
	counts = 1;
	for (peer = 1; peer <= told->nodes; peer++) {
		if (peer == told->id)
			continue;
		said.peer = peer;
		said.sent = count(peer, "tx_total_packets");
		said.received = count(peer, "rx_total_packets");
		said.at_ns = now_ns();
		ring_put(CB_RING_COROSYNC, CB_COROSYNC_PACKETS, 0, &said, sizeof(said), NULL, 0);
	}
}
