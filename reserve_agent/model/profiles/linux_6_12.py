"""Linux 6.12 as Debian has it: the rules of 6.1 under this name.

Measured on 6.12.117, three boots each: the same verdicts at every level with e1000, e1000e, 8139cp
and vmxnet3; with virtio-net the same from 3/8 of min down, and at 1/2 some boots hear. The floors
by the same probe are the same (``__zone_watermark_ok``, mm/page_alloc.c:3137-3166; real-time tasks
:4033). Heads still come from plain GFP_ATOMIC. What differs is outside of these rules: reclaim
writes no buffered pages, MIGRATE_HIGHATOMIC has no blocks in small guests, and heads of UDP and TCP
share ``skb_small_head_cache``.
"""

from __future__ import annotations

from dataclasses import replace

from reserve_agent.model.profiles.linux_6_1 import LINUX_6_1

LINUX_6_12 = replace(
    LINUX_6_1,
    name="linux-6.12",
    version="6.12.117 (Debian)",
    measured="6.12.117: levels, three boots each; floors by a probe, +-3 pages of 210",
)
