/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What a guest and its host share: one mebibyte of memory (QEMU's ivshmem-plain), and the requests
 * that the guest's agent makes of the module. nodes/guest/ring.py is the Python twin of the
 * memory's layout; a unit test compares the two.
 *
 * No message needs the guest's memory: both sides poll. A serial port would not do, since a tty
 * needs GFP_ATOMIC buffers to receive, so that a crunched guest would be deaf to its own testbed.
 *
 * All integers are little endian and aligned to their size. Times are nanoseconds of the guest's
 * CLOCK_MONOTONIC unless a name says otherwise; IPv4 addresses and ports are in network order.
 */
#ifndef CB_SHARED_H
#define CB_SHARED_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define CB_MAGIC		0x6472436bu
#define CB_VERSION		3
#define CB_SHARED_BYTES		0x100000

/* Where the parts are. The host clears the memory and writes magic and version before the boot. */
#define CB_AGENT_AT		0x0000
#define CB_RINGS_AT		0x0800
#define CB_COUNTERS_AT		0x1000
#define CB_COUNTERS_SLOT_BYTES	0x800
#define CB_WINDOWS_AT		0x2000
#define CB_COROSYNC_AT		0xa800
#define CB_PROBED_AT		0xf000
#define CB_DATA_AT		0x10000

#define CB_COUNTERS_SLOTS	2	/* publication n is in slot n % CB_COUNTERS_SLOTS */
#define CB_WINDOWS		256	/* window n is in slot n % CB_WINDOWS */
#define CB_WRITERS		4
#define CB_RING_BYTES		0x10000	/* data of ring n: at CB_DATA_AT + n * CB_RING_BYTES */

/* ---- the agent's part, at CB_AGENT_AT */

enum cb_state {
	CB_STATE_NONE,
	CB_STATE_READY,
	CB_STATE_FAILED,	/* failure and error say why; the guest powers off */
};

/* A write that is on its way: a guest that stands still cannot say so by an event. */
struct cb_writing {
	__u64 sequence;
	__u64 begun_ns;		/* 0: none is */
};

struct cb_agent {
	__u32 magic;		/* by the host */
	__u32 version;		/* by the host */
	__u32 state;		/* enum cb_state */
	__s32 error;		/* errno */
	__u64 ready_ns;
	__u64 now_ns;		/* of the agent's last turn, about one a millisecond */
	__u64 turns;
	__u64 late_ns;		/* the longest time between two turns since the host set it to 0 */
	__u64 sink_bytes;	/* that packets for the sink hold, as the kernel counts them */
	struct cb_writing writing[CB_WRITERS];
	char release[64];	/* of the kernel, as uname -r says it */
	char failure[64];
};

/* ---- what corosync is told, at CB_COROSYNC_AT: by the host, before the boot */

#define CB_COROSYNC_BYTES	0x4000	/* of its configuration, at most */

struct cb_corosync {
	__u32 nodes;		/* whose ids are 1 to `nodes`; 0: the guest runs no corosync */
	__u32 id;		/* of this node */
	__u32 links;		/* of knet to each peer */
	__u32 bytes;		/* of the configuration */
	char configuration[CB_COROSYNC_BYTES];
};

/* ---- rings: one writer and one reader each, so there are no locks */

enum cb_ring_name {
	CB_RING_CONTROL,	/* host to guest: everything but datagrams */
	CB_RING_SEND,		/* host to guest: datagrams */
	CB_RING_ANSWERS,	/* guest to host, like all that follow: what came of CONTROL */
	CB_RING_SENT,
	CB_RING_RECEIVED,
	CB_RING_DISK,		/* of CONNECT, LOGIN, NVME, DISCONNECT and SWAP */
	CB_RING_DISK_ENDED,	/* CB_DONE with id 0: the kernel gave the device up */
	CB_RING_TASK,		/* of the process that wants memory */
	CB_RING_COROSYNC,	/* of corosync's watcher */
	CB_RING_WRITER,		/* of the first writer; CB_WRITERS rings */
	CB_RINGS = CB_RING_WRITER + CB_WRITERS,
};

/*
 * Positions count bytes since the start and are never reduced; the byte at position p is at offset
 * p % CB_RING_BYTES. A message is contiguous: where it does not fit before the end, a message of
 * kind CB_PAD fills the rest.
 */
struct cb_ring {
	__u64 head;		/* by the writer: where its next message will be */
	__u64 lost;		/* by the writer: messages for which there was no room */
	__u64 unused_head[6];
	__u64 tail;		/* by the reader: where its next message is */
	__u64 unused_tail[7];
};

struct cb_message {
	__u32 bytes;		/* with this header and padding to a multiple of 8 */
	__u16 kind;		/* enum cb_command or enum cb_event */
	__u16 unused;
	__u64 id;		/* the host's choice; of an event: its command's, or 0 */
};

#define CB_MAX_PAYLOAD		512	/* bytes of a datagram */
#define CB_MAX_TARGETS		16

enum cb_command {
	CB_PAD,
	CB_PING,		/* no body; answered by CB_DONE */
	CB_FLAG,		/* struct cb_flag; CB_DONE has the flag as it is afterwards */
	CB_LEVEL,		/* struct cb_level: a window, with a record of its own */
	CB_CALM,		/* no body: no window is held or to come any more */
	CB_BALLAST,		/* struct cb_ballast; CB_DONE has the pages that are held now */
	CB_CONNECT,		/* struct cb_connect: a disk over NBD; CB_DONE has its bytes */
	CB_DISCONNECT,		/* no body */
	CB_WRITE,		/* struct cb_write: writers begin, or end with a count of 0 */
	CB_SWAP,		/* struct cb_swap; CB_DONE after swapon or swapoff */
	CB_DIRTY,		/* struct cb_dirty: a normal task dirties pages and keeps them */
	CB_CHECK,		/* no body: it reads them back; CB_DONE has the wrong ones */
	CB_NEIGHBOUR,		/* struct cb_neighbour */
	CB_SINK,		/* struct cb_sink: a socket whose reader does not read */
	CB_RESERVE,		/* struct cb_reserve: another min_free_kbytes */
	CB_SEND,		/* struct cb_send, in CB_RING_SEND; answered by CB_SENT */
	CB_POWEROFF,		/* no body, no answer */
	CB_FLAG_PORT,		/* struct cb_flag_port; CB_DONE has the sockets that follow it */
	CB_LOGIN,		/* struct cb_login: a disk over iSCSI; CB_DONE has its bytes */
	CB_NVME,		/* struct cb_nvme: a disk over NVMe/TCP; CB_DONE has its bytes */
	CB_PROBE,		/* no body: floors; after CB_DONE they are at CB_PROBED_AT */
	CB_DESCRIPTORS,		/* no body: CB_DONE has those of eth0's receive ring */
};

enum cb_event {
	CB_DONE = 64,		/* struct cb_done */
	CB_SENT,		/* struct cb_sent */
	CB_RECEIVED,		/* struct cb_received */
	CB_WRITTEN,		/* struct cb_written */
	CB_COROSYNC_LINE,	/* struct cb_corosync_line, and a line of its log */
	CB_COROSYNC_LEFT,	/* struct cb_corosync_nodes: a new ring, without these of the last */
	CB_COROSYNC_QUORUM,	/* struct cb_corosync_nodes: the ring's nodes, and its quorum */
	CB_COROSYNC_PACKETS,	/* struct cb_corosync_packets */
	CB_COROSYNC_ENDED,	/* struct cb_done; result: as waitpid() says it */
};

/* ---- bodies of commands */

enum cb_socket {
	CB_SOCKET_HEARTBEAT,
	CB_SOCKET_DISK,
	CB_SOCKET_SINK,
};

/* Values of SO_MEMALLOC */
#define CB_MEMALLOC_OFF		0
#define CB_MEMALLOC_ON		1
#define CB_MEMALLOC_NOWAIT	2	/* and its sender never waits for memory */

struct cb_flag {
	__u32 socket;		/* enum cb_socket */
	__u32 value;
};

enum cb_side {
	CB_SIDE_LOCAL = 1,
	CB_SIDE_REMOTE,
	CB_SIDE_EITHER,		/* both bits */
};

#define CB_MAX_PORTS		8

/*
 * Sockets of any program and of the kernel itself, by protocol and port. It holds until another
 * value is said for the same port: of sockets that are there, and within 20 ms of those made
 * later. The option of a socket (CB_FLAG) does not hold against it.
 */
struct cb_flag_port {
	__u8 protocol;		/* IPPROTO_TCP: connections, not listeners; or IPPROTO_UDP */
	__u8 side;		/* enum cb_side: whose port */
	__u16 port;
	__u32 value;		/* CB_MEMALLOC_* */
};

/* One window. With `demand` it ends as soon as so many pages that others freed were taken. */
struct cb_level {
	__u64 begin_ns;		/* 0: now */
	__u32 hold_us;		/* from when the level is reached; with demand: at most */
	__u32 ramp_us;		/* the way down takes at least so long */
	__u32 refill_us;	/* how often freed pages are taken again; 0: never */
	__u32 level_milli;	/* thousandths of min */
	__u32 demand;		/* pages */
	__u32 drain;		/* 1: what lies ready in slabs and page fragments is taken too */
};

#define CB_BALLAST_NONE		0xffffffffu

struct cb_ballast {
	__u32 above;		/* pages to leave above the high watermark, or CB_BALLAST_NONE */
	__u32 unused;
};

struct cb_connect {
	__u32 address;
	__u16 port;
	__u16 timeout_s;	/* of one request; 0: the kernel never gives up */
	__u32 send_buffer;	/* SO_SNDBUF as getsockopt shows it; 0: the kernel's own */
	__u32 connect_ms;	/* how long the connection may take */
	char export_name[32];	/* NUL-terminated */
};

/* Times are open-iscsi's, by its names. Texts are NUL-terminated. */
struct cb_login {
	__u32 address;
	__u16 port;
	__u16 login_timeout_s;
	__u16 noop_interval_s;	/* 0: never */
	__u16 noop_timeout_s;	/* 0: never */
	__s32 replacement_timeout_s;	/* negative: never */
	char initiator[64];
	char target[64];
	char user[80];		/* empty: the target wants no secret */
	char secret[32];
};

/* All times are the kernel's own. Texts are NUL-terminated. */
struct cb_nvme {
	__u32 address;
	__u16 port;
	__u16 unused;
	char subsystem[64];	/* NQN of the target's subsystem */
	char host[64];		/* UUID of this node */
};

struct cb_write {
	__u32 writers;		/* 0: all end */
	__u32 pause_us;		/* of a writer between two writes */
	__u32 blocks;		/* of 4096 bytes in a write, at most 16 */
	__u16 node;		/* for the stamps: see nodes/block/pattern.py */
	__u16 incarnation;
	__u64 first_block;	/* of the range that all writers share and go round in */
	__u64 range_blocks;
};

struct cb_swap {
	__u32 pages;		/* from the first byte of the block device on; 0: swapoff */
	__u32 unused;
};

enum cb_dirty_form {
	CB_DIRTY_ANONYMOUS,	/* the kernel swaps them out */
	CB_DIRTY_BUFFERED,	/* written into the block device's page cache */
};

struct cb_dirty {
	__u32 pages;		/* 0: gives up what it has */
	__u32 form;		/* enum cb_dirty_form */
	__u64 first_block;	/* buffered: where on the block device */
};

struct cb_neighbour {
	__u32 address;
	__u8 mac[6];		/* zeros: the entry is deleted */
	__u8 unused[6];
};

/* While there is a sink nobody is killed for want of memory. */
struct cb_sink {
	__u16 port;		/* 0: closed, and what waits is thrown away */
	__u16 unused;
	__u32 receive_buffer;	/* SO_RCVBUF as getsockopt shows it; 0: the kernel's own */
};

struct cb_reserve {
	__u32 kib;
	__u32 unused;
};

struct cb_send {
	__u16 bytes;
	__u16 port;
	__u32 targets;
	__u32 to[CB_MAX_TARGETS];
	__u8 payload[];
};

/* ---- bodies of events */

struct cb_done {
	__s64 result;		/* negative: -errno */
	__u64 value;
	__u64 at_ns;
};

struct cb_sent {
	__u32 reached;		/* bit n: the kernel took it for target n */
	__s32 error;		/* errno of the last one that it did not take, or 0 */
	__u64 begun_ns;
	__u64 at_ns;
};

struct cb_received {
	__u32 from;
	__u16 port;
	__u16 bytes;
	__u64 at_ns;		/* when the kernel had it */
	__u64 read_ns;
	__u8 payload[];
};

struct cb_written {
	__u64 sequence;
	__u64 block;
	__u64 begun_ns;
	__u64 at_ns;
	__u32 blocks;
	__s32 error;		/* errno, or 0 */
};

struct cb_corosync_line {
	__u64 at_ns;		/* when the watcher read it */
	__u32 bytes;
	__u32 unused;
	char text[];
};

struct cb_corosync_nodes {
	__u64 at_ns;
	__u64 ring;		/* its sequence number */
	__u32 quorate;		/* CB_COROSYNC_QUORUM alone */
	__u32 nodes;
	__u32 ids[CB_MAX_TARGETS];
};

/* All since the boot, knet's own pings and pongs too. */
struct cb_corosync_packets {
	__u64 at_ns;
	__u32 peer;		/* its id */
	__u32 unused;
	__u64 sent;
	__u64 received;
};

/* ---- the module's part, at CB_COUNTERS_AT and CB_WINDOWS_AT */

enum cb_failure {
	CB_FAIL_ATOMIC,		/* one page, may not wait: a packet as a rule */
	CB_FAIL_FRAGMENT,	/* several pages, may not wait: the caller tries one page next */
	CB_FAIL_NOWAIT,		/* one page, may not wait and not touch the reserve */
	CB_FAIL_MEMALLOC,	/* one page by __GFP_MEMALLOC or PF_MEMALLOC: nothing was left at all */
	CB_FAIL_BLOCKING,	/* could have waited and gave up */
	CB_FAIL_MEMALLOC_FRAGMENT,	/* several pages by these: single pages may be left */
	CB_FAILURES,
};

/* Published about every 5 ms, whatever user space does; the higher sequence is the newer. */
struct cb_counters {
	__u64 sequence;		/* from 1 on; 0: being written */
	__u64 at_ns;
	__u64 panicked_ns;	/* 0: no */
	/* the largest zone */
	__u64 free_pages;
	__u64 min_pages;
	__u64 low_pages;
	__u64 high_pages;
	__u64 managed_pages;
	__u64 highatomic_pages;
	/* the whole guest */
	__u64 free_pages_all;
	__u64 dirty_pages;
	__u64 writeback_pages;
	__u64 file_pages;
	__u64 anonymous_pages;
	__u64 slab_pages;	/* that cannot be reclaimed */
	__u64 ballast_pages;
	__u64 held_pages;	/* by the window */
	/* since the boot */
	__u64 failed[CB_FAILURES];
	__u64 oom_calls;
	__u64 direct_reclaims;
	__u64 swapped_out_pages;
	__u64 swapped_in_pages;
	__u64 pfmemalloc_drops;
	__u64 rx_packets;	/* of eth0, as are the next four */
	__u64 rx_dropped;
	__u64 rx_missed;
	__u64 rx_fifo_errors;
	__u64 tx_packets;
	/* sockets */
	__u64 memalloc_sockets;	/* count of the kernel's static key: not less when one is closed */
	__u64 flagged_sockets;	/* that have the flag: UDP and TCP connections over IPv4 */
	__u64 port_sockets;	/* for which there is a CB_FLAG_PORT */
	/* windows */
	__u64 windows_begun;
	__u64 windows_ended;
	__u64 windows_waiting;
};

/* The counts of windows in the counters lag by 5 ms: look for the id of the command. */
struct cb_window {
	__u64 id;		/* of its CB_LEVEL */
	__u64 asked_ns;		/* when it was to begin */
	__u64 begun_ns;
	__u64 reached_ns;	/* 0: not yet */
	__u64 ended_ns;		/* 0: not yet */
	__u64 freed_ns;		/* 0: not over, and the record may be half written */
	__s64 requested_pages;	/* of the largest zone, like the next three */
	__s64 reached_pages;
	__s64 low_pages;	/* low-water mark while it was held */
	__s64 ended_pages;
	__u32 level_milli;
	__u32 hold_us;
	__u32 taken_pages;
	__u32 refilled_pages;
	__u32 drained_objects;
	__u32 highatomic_pages;
	__u32 failed[CB_FAILURES];
	__u32 oom_calls;
};

/* ---- the module's part, at CB_PROBED_AT */

enum cb_request {
	CB_REQUEST_ATOMIC,	/* GFP_ATOMIC */
	CB_REQUEST_FRAGMENT,	/* GFP_ATOMIC with __GFP_NOMEMALLOC */
	CB_REQUEST_REALTIME,	/* GFP_KERNEL of a real-time task, before it reclaims */
	CB_REQUEST_NORMAL,	/* GFP_KERNEL of any other task, before it reclaims */
	CB_REQUEST_MEMALLOC,	/* GFP_ATOMIC with __GFP_MEMALLOC */
	CB_REQUESTS,
};

/* What the last CB_PROBE found, all of the largest zone. A request is for one page. */
struct cb_probed {
	__u64 min_pages;
	__u64 highatomic_pages;
	__u64 step_pages;	/* between two levels */
	__s64 granted[CB_REQUESTS];	/* fewest free pages with which it was; -1: it never was */
	__s64 refused[CB_REQUESTS];	/* most free pages with which it was; -1: it never was */
};

/* ---- the module's requests: /dev/crunchbed, which needs CAP_SYS_ADMIN */

struct cb_window_request {
	__u64 id;
	struct cb_level level;
};

#define CB_IOC_WINDOW		_IOW('C', 1, struct cb_window_request)
#define CB_IOC_CALM		_IO('C', 2)
#define CB_IOC_BALLAST		_IOW('C', 3, struct cb_ballast)	/* returns the pages held */
#define CB_IOC_GUARD		_IO('C', 4)	/* 1: nobody is killed for want of memory */
#define CB_IOC_FLAG_PORT	_IOW('C', 5, struct cb_flag_port)	/* returns who follows it */

#define CB_IOC_PROBE		_IO('C', 6)	/* not while there is a window or a sink */

/* SO_MEMALLOC: an option of IPPROTO_IP, an int of CB_MEMALLOC_*; setting needs CAP_NET_ADMIN. */
#define CB_SO_MEMALLOC		0x4d41

#endif
