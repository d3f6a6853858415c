"""What counters and the kernel's log tell of shortages so far."""

from __future__ import annotations

from collections.abc import Iterator

from crunchbed.risk.finding import Finding, Severity
from crunchbed.risk.machine import Machine
from crunchbed.risk.reading import linux, reading_for

DROP_READ = linux("drop", "net/core/filter.c", "skb_pfmemalloc(skb) && !sock_flag(", 137, 143)
THROTTLE_READ = linux(
    *("throttle", "mm/vmscan.c", "count_vm_event(PGSCAN_DIRECT_THROTTLE);"), *(6653, 6486)
)
_SIZE = "find who takes the memory; raise vm.min_free_kbytes"


def past_findings(machine: Machine) -> Iterator[Finding]:
    """Find what has happened already; a counter that is 0 or was not read is no finding."""
    past, kernel = machine.past, machine.kernel
    depends = bool(machine.storages or machine.processes or machine.lock_users)
    serious: Severity = "warning" if depends else "note"
    if past.pfmemalloc_drops:
        yield Finding(
            *("warning", "packets_dropped", "PFMemallocDrop"),
            f"packets from the reserve were dropped, since their sockets are not memalloc: "
            f"{past.pfmemalloc_drops}",
            f"/proc/net/netstat PFMemallocDrop {past.pfmemalloc_drops}",
            _SIZE,
            reading_for(DROP_READ, kernel).place,
        )
    if past.reclaim_throttled:
        yield Finding(
            *(serious, "reclaim_throttled", "pgscan_direct_throttle"),
            f"tasks had to wait in reclaim, since half of the min watermarks was gone: "
            f"{past.reclaim_throttled}",
            f"/proc/vmstat pgscan_direct_throttle {past.reclaim_throttled}",
            _SIZE,
            reading_for(THROTTLE_READ, kernel).place,
        )
    if past.failed_allocations:
        yield Finding(
            *(serious, "allocation_failed", "page allocation failure"),
            f"the kernel's log tells of allocations that failed: {past.failed_allocations}",
            past.last_failure,
            "in the log, a stack with a network driver or a socket is a lost packet; " + _SIZE,
        )
    if past.oom_kills:
        yield Finding(
            *("note", "oom_killed", "oom_kill"),
            f"processes were killed for want of memory, in control groups too: {past.oom_kills}",
            f"/proc/vmstat oom_kill {past.oom_kills}",
            "bound what may grow (MemoryMax in its unit)",
        )
