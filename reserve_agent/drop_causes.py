"""Why a heartbeat is missed that a hook dropped where it was received."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DROP_CAUSES: Final[Mapping[str, str]] = {
    "alloc_failed": "allocation_failure",
    "reserve_exhausted": "allocation_failure",
    "not_memalloc": "reserve_drop",
    "softnet_throttled": "reserve_drop",
    "no_pool": "reserve_drop",
    "pool_empty": "reserve_drop",
    "not_critical": "reserve_drop",
    "not_vm_aware": "reserve_drop",
    "lost": "loss",
}
"""Cause of the miss by reason of the drop."""
