"""What the kernels of machines have counted, as a recording has it."""

from __future__ import annotations

from nodes.guest.layout import Failure
from tests.unit.recording import Recording

KINDS = tuple(kind.name.lower() for kind in Failure)


def counted(
    recording: Recording, ms: float, node: str, kinds: tuple[str, ...] = KINDS, **counts: int
) -> None:
    """What a kernel has counted since its boot; all other counts are 0."""
    names = ("oom_calls", "direct_reclaims", "swapped_out_pages", "swapped_in_pages")
    names += ("pfmemalloc_drops", "rx_packets", "rx_dropped", "rx_missed", "rx_fifo_errors")
    names += ("tx_packets", "memalloc_sockets", "late_ns")
    failed = {kind: counts.get(kind, 0) for kind in kinds}
    others = {name: counts.get(name, 0) for name in names}
    recording.add(ms, "guest.counters", node, failed=failed, **others)
