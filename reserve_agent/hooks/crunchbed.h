/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the hooks and the agent share. reserve_agent/hooks/layout.py mirrors this file; the loader
 * refuses to start when a size differs. All times are CLOCK_MONOTONIC nanoseconds. */
#ifndef CRUNCHBED_H
#define CRUNCHBED_H

#define PAGE_BYTES 4096
#define WHEEL_SLOTS 16 /* slots of the service wheel; a power of two */
#define WHEEL_LIFE 9   /* ticks a buffer stays: its own, then eight whole ones */
#define MAX_RULES 8
#define MAX_LOSSES 64
#define LOSS_ALWAYS 0xffffffffU
#define MAX_WINDOWS 4096
#define WINDOWS_PER_STEP 8 /* windows that one operation may pass over */
#define JOURNAL_ENTRIES 4096
#define TEST_SOCKETS 16
#define AUDIT_ETHER_TYPES 16 /* that are told apart, other than IP */

/* A socket option of our own, out of the range that mainline uses at SOL_SOCKET. */
#define CB_SOL_SOCKET 1
#define CB_SO_MEMALLOC 0x4D41
#define CB_SO_STALLED 0x4D42

enum cb_policy { POLICY_NONE, POLICY_SOFTNET, POLICY_MEMALLOC, POLICY_MEMPOOL, POLICY_CRITICAL };

enum cb_class { CLASS_OTHER, CLASS_BLOCK_IO, CLASS_HEARTBEAT, CLASS_CONTROL, CLASSES };

enum cb_hook { HOOK_RECEIVE, HOOK_DELIVER, HOOK_TRANSMIT, HOOKS };

enum cb_reason {
	REASON_GRANTED,
	REASON_FROM_RESERVE,
	REASON_ALLOC_FAILED,
	REASON_RESERVE_EXHAUSTED,
	REASON_SOFTNET_THROTTLED,
	REASON_NOT_MEMALLOC,
	REASON_NO_POOL,
	REASON_POOL_EMPTY,
	REASON_NOT_CRITICAL,
	REASON_NOT_VM_AWARE,
	REASON_TX_STALLED,
	REASON_LOST, /* on the wire, by a fault: no rule of memory */
	REASONS,
};

enum cb_op { OP_TICK, OP_DIRTY, OP_CLEAN, OP_RESIZE, OP_RESET, OP_EMERGENCY, OP_CALM, OP_WAKE };

enum cb_entry { ENTRY_PRESSURE_BEGIN = 1, ENTRY_PRESSURE_END, ENTRY_DROP };

/* Socket flags: MEMALLOC is the user's word (setsockopt or a rule); WRITEBACK marks the socket
 * that the PF_MEMALLOC writeback task writes to, whatever the policy. */
#define SOCK_MEMALLOC 1
#define SOCK_WRITEBACK 2
/* A reader that does not read, whatever the pressure: what it is handed stays until OP_WAKE. */
#define SOCK_STALLED 4

/* skb->mark between tc ingress and cgroup_skb: who paid for this buffer. */
#define MARK_FROM_RESERVE 0x80000000U
#define MARK_CHARGED 0x40000000U
#define MARK_SLOT_SHIFT 24
#define MARK_PAGES_SHIFT 8
#define MARK_CLASS_MASK 0x0fU

struct cb_rule {
	__u16 port; /* host byte order; either end of the packet; 0 = rule not used */
	__u8 protocol;
	__u8 cls;
	__u32 flags; /* SOCK_* given to a socket that connects or sends to this port */
};

/* Packets that the wire loses, by a fault. */
struct cb_loss {
	__u32 source;    /* IPv4 address in network byte order; 0 = whoever sent it */
	__u32 threshold; /* share of 2^32 that is lost; LOSS_ALWAYS loses all; 0 ends the list */
};

/* Written by the agent only. */
struct cb_config {
	__u32 policy;
	__u32 service_shift; /* a wheel tick is 1 << service_shift nanoseconds */
	__u32 windows;       /* how many entries of the windows map are valid */
	__u32 softnet_limit; /* packets the softnet queue may hold before it throttles */
	__u32 softnet_cost_ns; /* nanoseconds the queue needs for one packet */
	__u32 mempool_pages;   /* size of a memalloc socket's own pool under POLICY_MEMPOOL */
	__u32 enforce;         /* refuse protocols that are not vm-aware, pressure or not */
	__u32 losing; /* whether there is any entry in losses */
	struct cb_rule rules[MAX_RULES];
	struct cb_loss losses[MAX_LOSSES];
};

struct cb_window {
	__u64 start;
	__u64 end;
	__u64 level; /* pages that stay free when the window begins; at most the reserve */
};

/* Buffers whose reader runs: pages by the tick in which they were taken. */
struct cb_wheel {
	__u64 tick;
	__u64 pages;
	__u32 slot[WHEEL_SLOTS];
};

/* Written by the hooks only, under one spin lock.
 * total = free + clean + dirty + squeezed + running.pages + rx_stalled + hoarded +
 * tx at all times. */
struct cb_pool {
	__u64 total;
	__u64 reserve;
	__u64 free;
	__u64 clean;
	__u64 dirty;
	__u64 demand; /* pages that normal tasks wait for; not part of the sum */
	__u64 squeezed;
	__u64 rx_stalled;
	__u64 tx;
	__u64 low_water;
	__u64 now;
	__u64 generation;
	__u64 hoarded; /* pages that stalled readers keep */
	__u64 wakes;   /* how often they have read */
	__u64 pressure;
	__u64 pressure_since;
	__u64 pressure_ns;
	__u64 pressure_longest_ns;
	__u64 pressure_episodes;
	__u64 window;
	__u64 in_window;
	__u64 emergency;
	__u64 softnet_backlog_ns;
	__u64 softnet_since;
	__u64 softnet_throttled;
	__u64 journal_head;
	struct cb_wheel running;
};

struct cb_entry_record {
	__u64 t;
	__u64 value; /* pages free, or the start of the pressure that ended, or pages dropped */
	__u64 tag;   /* first eight payload bytes of a dropped packet, as sent */
	__u32 source;
	__u32 destination;
	__u16 kind;
	__u8 hook;
	__u8 reason;
	__u8 cls;
	__u8 pad[3];
};

struct cb_journal {
	struct cb_entry_record entries[JOURNAL_ENTRIES];
};

struct cb_counter {
	__u64 packets;
	__u64 pages;
};

/* by[hook << 6 | class << 4 | reason]: powers of two, so that a mask is a bound. */
#define COUNTER_ENTRIES 256
#define COUNTER_HOOK_SHIFT 6
#define COUNTER_CLASS_SHIFT 4

struct cb_counters {
	struct cb_counter by[COUNTER_ENTRIES];
};

struct cb_socket {
	__u32 flags;
	__u32 closed;
	__u64 generation;
	__u32 tx_started;
	__u32 tx_base; /* TCP sequence number of the first byte charged */
	__u64 tx_end;  /* bytes charged since tx_base */
	__u64 tx_una;  /* bytes acknowledged since tx_base */
	__u64 wakes;   /* of the pool, when `hoarded` was counted */
	__u64 hoarded; /* pages of its own mempool that a stalled reader keeps */
	__u64 from_reserve; /* pages it was ever handed from the reserve */
	struct cb_wheel pool; /* pages this socket holds of its own mempool */
};

struct cb_ether_type {
	__u64 type;
	__u64 packets; /* 0 = slot not used */
};

/* Packets received by protocol, for the audit. */
struct cb_protocols {
	__u64 ipv4[256]; /* by IP protocol; 0 also where the header cannot be read */
	__u64 ipv6[256];
	__u64 unnamed; /* of EtherTypes that found no slot */
	struct cb_ether_type others[AUDIT_ETHER_TYPES];
};

/* A socket as cb_list_sockets writes it; ports are in host byte order. */
struct cb_socket_record {
	__u64 inode; /* 0 = no process has it any more */
	__u64 write_queue_bytes; /* sent and not acknowledged (TCP) */
	__u64 pool_pages;
	__u64 reserve_pages; /* ever handed to it from the reserve */
	__u32 flags;
	__u32 closed;
	__u16 family;
	__u16 protocol;
	__u16 local_port;
	__u16 remote_port;
	__u8 local[16];
	__u8 remote[16];
	__u8 state; /* TCP_* of the kernel */
	__u8 pad[7];
};

struct cb_lock {
	struct bpf_spin_lock lock;
};

#endif
