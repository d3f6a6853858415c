/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest has beside its agent where corosync is its membership: a process that starts
 * corosync, and tells the host what corosync says. What follows from that is the host's business.
 *
 * As the agent, it allocates nothing once it is connected, and all its memory is locked.
 */
#ifndef CB_WATCHER_H
#define CB_WATCHER_H

#include "../agent/agent.h"

extern const struct cb_corosync *told;

/* ---- program.c: corosync's process and its log */

/* Returns the descriptor of its log. */
int corosync_start(void);
/* Tell the host what has come of the log. Returns whether it goes on. */
int corosync_read_log(int log);
/* Whether corosync answers its clients; see program.c. */
int corosync_answers(void);

/* ---- membership.c: its members, and whether they have quorum */

/* Subscribe. Returns a descriptor to wait on, or -1 while corosync is not up yet. */
int membership_connect(void);
/* Tell the host what has changed. Returns whether corosync is still there. */
int membership_dispatch(void);
/* Tell the host how many packets went to each peer, and came from it. */
void membership_count_packets(void);

#endif
