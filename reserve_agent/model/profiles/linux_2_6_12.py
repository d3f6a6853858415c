"""Linux 2.6.12, the kernel of the mail's time: from source, not measured.

Floors: ``zone_watermark_ok`` (mm/page_alloc.c:707-712): __GFP_HIGH takes half of min off, and what
cannot wait, or is a real-time task, a quarter. PF_MEMALLOC has no floor, but not in an interrupt,
where packets are received: so no packet is from the reserve, and no socket can be flagged. The
policies of 2005 are changes to this kernel.

Buffers are kmalloc's: no fragments, a short frame in a piece of 512 bytes. Heads are of 256 bytes;
that 60 are at hand is half of the slab's per-processor array (120 for objects of 256 bytes,
mm/slab.c). NAPI has no cache of heads. The receive buffer is SK_RMEM_MAX = 256 x (240 + 256) bytes
(include/net/sock.h). Cards have the rings of today's drivers; e1000 and 8139cp are the ones that
this kernel had.

Reclaim: ``try_to_free_pages`` gives up after 12 priorities, and the OOM killer follows a first
failure (mm/page_alloc.c, mm/vmscan.c): one round.
"""

from __future__ import annotations

from reserve_agent.model.profiles.kernel import (
    Buffers,
    Flags,
    Floors,
    Kernel,
    Ratio,
    Reclaim,
    Request,
)

LINUX_2_6_12 = Kernel(
    name="linux-2.6.12",
    version="2.6.12.1",
    floors=Floors(atomic=Ratio(3, 8), fragment=Ratio(3, 8), realtime=Ratio(3, 4)),
    from_reserve=Request.ATOMIC,
    flags=Flags.NOBODY,
    buffers=Buffers(
        small_bytes=512,
        fragment_pages=0,
        head_bytes=256,
        heads_at_hand=60,
        heads_per_page=15,
        napi_cache=False,
        receive_buffer=126_976,
    ),
    ethertypes=None,
    readers_stall=False,
    reclaim=Reclaim(sleeps_below=Ratio(0, 1), fruitless_rounds=1),
)
