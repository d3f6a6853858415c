/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's agent: what its files know of each other.
 *
 * Nothing is allocated once the agent is ready, and all its memory is locked, so that it runs on
 * while its node has no page left. What may have to wait for memory in the kernel (sending, block
 * I/O) has a thread of its own; the control thread never waits for anything but the next
 * millisecond.
 */
#ifndef CB_AGENT_H
#define CB_AGENT_H

#include <netinet/in.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>

#include "../shared.h"

/* Real-time priorities, all below the module's 50: it must be able to end a window. */
#define CONTROL_PRIORITY 40
#define RECEIVER_PRIORITY 21
#define SENDER_PRIORITY 20

#define BLOCK_BYTES 4096
#define MAX_BODY 1024

/* ---- shared.c: the memory that the host shares */

extern struct cb_agent *agent;

/* Map it and look at what the host wrote there. Returns 0 or -errno. */
int shared_map(void);
void *shared_at(size_t offset);
/* Tell the host why there will be no agent, and power off. */
_Noreturn void fail(const char *what, int error);
_Noreturn void power_off(void);

/* ---- ring.c */

/* The next message, or NULL; valid until ring_next(). */
const struct cb_message *ring_peek(enum cb_ring_name name);
void ring_next(enum cb_ring_name name);
/* Body and payload together; counted as lost where the host has left no room. */
void ring_put(enum cb_ring_name name, enum cb_event kind, uint64_t id, const void *body,
	      size_t body_bytes, const void *payload, size_t payload_bytes);
void ring_done(enum cb_ring_name name, uint64_t id, int64_t result, uint64_t value);

/* ---- threads.c */

uint64_t now_ns(void);
void nap_us(unsigned long us);
/* A thread with a small stack; priority 0 is a normal task. */
void start_thread(void *(*body)(void *), void *argument, int priority);

/* One command at a time, handed from the control thread to another thread or process. */
struct mailbox {
	sem_t full;
	int busy;
	uint64_t id;
	uint16_t kind;
	_Alignas(8) unsigned char body[MAX_BODY];
};

void mailbox_init(struct mailbox *box, int between_processes);
/* Returns 0, or -EBUSY while the last command is being carried out. */
int mailbox_post(struct mailbox *box, const struct cb_message *message);
void mailbox_wait(struct mailbox *box);
void mailbox_done(struct mailbox *box);

/* ---- control.c */

void *control_run(void *unused);

/* ---- heartbeat.c: one UDP socket; the rules of membership are the host's */

int heartbeat_open(struct in_addr address, in_port_t port);
void heartbeat_start(void);
/* There are datagrams to be sent. */
void heartbeat_wake(void);
int heartbeat_socket(void);

/* ---- disk.c: the block device, and swap on it */

void disk_start(void);
int disk_post(const struct cb_message *message);
const char *disk_path(void);
/* Whoever makes a disk returns before the kernel has looked at it. Returns 0 or -errno. */
int disk_wait(const char *path, uint64_t *bytes);

/* ---- nbd.c */

#define NBD_DEVICE "/dev/nbd0"

void nbd_start(void);
int nbd_socket(void);	/* -1: none */
int nbd_attach(const struct cb_connect *command, uint64_t *bytes);
int nbd_disconnect(void);

/* ---- iscsi.c */

#define ISCSI_DEVICE "/dev/sda"

int iscsi_attach(const struct cb_login *login, uint64_t *bytes);

/* ---- nvme.c */

#define NVME_DEVICE "/dev/nvme0n1"

int nvme_attach(const struct cb_nvme *command, uint64_t *bytes);

/* ---- write.c: writers with O_DIRECT */

void write_start(void);
int write_command(const struct cb_write *command);

/* ---- pattern.c: blocks as nodes/block/pattern.py reads them */

struct stamp {
	uint16_t node;
	uint16_t incarnation;
	uint64_t sequence;
	uint64_t block;
};

void pattern_init(void);
void pattern_fill(unsigned char *block, const struct stamp *stamp);

/* ---- reserve.c */

void reserve_open(void);
int reserve_set(const struct cb_reserve *command);

/* ---- task.c: a process that is a normal task and wants memory */

void task_start(void);
int task_post(const struct cb_message *message);

/* ---- network.c */

int neighbour_set(const struct cb_neighbour *neighbour);
/* How many the card's driver has for packets that come; or -errno. */
int receive_descriptors(void);
/* The socket that nobody reads; port 0 closes it. */
int sink_set(const struct cb_sink *command);
int sink_socket(void);		/* -1: none */
uint64_t sink_bytes(void);
int memalloc_set(int socket, int value);	/* 0 or -errno */
int memalloc_get(int socket);			/* CB_MEMALLOC_* or -errno */

#endif
