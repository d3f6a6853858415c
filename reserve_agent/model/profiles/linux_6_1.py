"""Linux 6.1 as Debian has it, from 6.1.116 on.

Floors: ``__zone_watermark_ok`` (mm/page_alloc.c:3987-4008): GFP_ATOMIC takes half and then a
quarter of min off, __GFP_NOMEMALLOC leaves the half; a probe in the guest found 0.37 to 0.38 and
0.49 to 0.50. A real-time task has 1/2 since 6.1.116 ("treat RT tasks similar to __GFP_HIGH",
measured on 6.1.192); 6.1.20 had 3/4 (:4824).

From the reserve: only pages that ALLOC_NO_WATERMARKS found (:2550), that is below the atomic floor.

Small buffers: ``page_frag_alloc_1k`` (net/core/skbuff.c): 1 KiB pieces of an order-0 page, asked
for with GFP_ATOMIC, never used twice: measured 0.31 page for 100 bytes with e1000, head included.
Larger ones: ``__page_frag_cache_refill``: order 3 with __GFP_NOMEMALLOC, else order 0.

Heads: ``napi_skb_cache`` holds 64, ``kmem_cache_alloc_bulk(skbuff_head_cache, GFP_ATOMIC, 16)``
brings more, without __GFP_MEMALLOC. The free objects in slabs are not counted: a lower bound.
Heads of sent packets get into this cache by ``napi_skb_cache_put``, and only reception takes them
out; a sender's come from the slab (``sock_alloc_send_pskb``), TCP data's from another one.

Receive buffer: net.core.rmem_default, compared before a datagram is added (net/ipv4/udp.c:1537):
167 small packets.

Protocols: ``skb_pfmemalloc_protocol`` (net/core/dev.c:5246): ARP, IPv4, IPv6, 802.1Q, 802.1ad.

Reclaim: direct reclaimers sleep below half of min (``throttle_direct_reclaim``, mm/vmscan.c:6546);
MAX_RECLAIM_RETRIES is 16 (mm/internal.h).
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

LINUX_6_1 = Kernel(
    name="linux-6.1",
    version="6.1.192 (Debian)",
    measured="6.1.192: levels table, three boots each; floors by a probe, +-3 pages of 210",
    floors=Floors(atomic=Ratio(3, 8), fragment=Ratio(1, 2), realtime=Ratio(1, 2)),
    from_reserve=Request.ATOMIC,
    flags=Flags.SOCKETS,
    buffers=Buffers(
        small_bytes=1024,
        fragment_pages=8,
        head_bytes=256,
        heads_at_hand=64,
        heads_per_page=16,
        napi_cache=True,
        receive_buffer=212_992,
    ),
    ethertypes=frozenset({0x0806, 0x0800, 0x86DD, 0x8100, 0x88A8}),
    readers_stall=False,
    reclaim=Reclaim(sleeps_below=Ratio(1, 2), fruitless_rounds=16),
)
