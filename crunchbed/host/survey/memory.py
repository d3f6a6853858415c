"""Watermarks, and what counters and the kernel's log tell of shortages."""

from __future__ import annotations

import re
from typing import Final

from crunchbed.host.survey.tree import Tree
from crunchbed.risk.machine import Memory, Past

_FAILED: Final = "page allocation failure"
_LOGS: Final = ("/dev/kmsg", "/var/log/kern.log")


def memory(tree: Tree) -> Memory:
    """Return the watermarks of all zones together, and of the largest one."""
    zones = _zones(tree)
    largest = max(zones, key=lambda name: zones[name], default="")
    buffers = (tree.text("/proc/sys/net/ipv4/tcp_wmem") or "").split()
    return Memory(
        min_free_kib=tree.number("/proc/sys/vm/min_free_kbytes"),
        min_pages=sum(zones.values()) if zones else None,
        largest_zone=largest,
        largest_min_pages=zones.get(largest),
        send_buffer_bytes=int(buffers[2]) if buffers[2:] and buffers[2].isdecimal() else None,
    )


def _zones(tree: Tree) -> dict[str, int]:
    """Return the min watermark of each zone, in pages; none where zoneinfo cannot be read."""
    found: dict[str, int] = {}
    zone = ""
    for line in tree.lines("/proc/zoneinfo"):
        heading = re.match(r"Node (\d+), zone +(\w+)", line)
        if heading:
            zone = f"node {heading[1]} {heading[2]}"
        words = line.split()
        if zone and len(words) == 2 and words[0] == "min" and words[1].isdecimal():
            found.setdefault(zone, int(words[1]))
    return found


def past(tree: Tree) -> Past:
    """Return the counters since the machine booted."""
    counters = _pairs(tree.lines("/proc/vmstat"))
    failures = _failures(tree)
    return Past(
        pfmemalloc_drops=_dropped(tree.lines("/proc/net/netstat")),
        reclaim_throttled=counters.get("pgscan_direct_throttle"),
        oom_kills=counters.get("oom_kill"),
        failed_allocations=None if failures is None else len(failures),
        last_failure=failures[-1] if failures else "",
    )


def _pairs(lines: list[str]) -> dict[str, int]:
    words = (line.split() for line in lines)
    return {each[0]: int(each[1]) for each in words if len(each) == 2 and each[1].isdecimal()}


def _dropped(lines: list[str]) -> int | None:
    """Return PFMemallocDrop: in netstat a line of names is followed by one of values."""
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        found = dict(zip(names.split(), values.split(), strict=False))
        if found.get("PFMemallocDrop", "").isdecimal():
            return int(found["PFMemallocDrop"])
    return None


def _failures(tree: Tree) -> list[str] | None:
    """Return the lines that tell of failed allocations, of the first log that can be read."""
    for path in _LOGS:
        lines = tree.log(path)
        if lines is not None:
            return [f"{path}: {_message(line)}" for line in lines if _FAILED in line]
    return None


def _message(line: str) -> str:
    """Return a line without the fields of /dev/kmsg before it."""
    return line.partition(";")[2] or line
