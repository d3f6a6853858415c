"""virtio-net: never from the reserve, and deaf after one refill that failed.

QEMU's ring has 256 slots. ``virtnet_receive`` (drivers/net/virtio_net.c) fills them once more than
half a NAPI budget of 64 is empty. ``add_recvbuf_mergeable`` asks ``skb_page_frag_refill()`` with
plain GFP_ATOMIC (:1316, :1413). One failure schedules ``refill_work``, which waits for GFP_KERNEL
memory with NAPI off and comes again after HZ/2 (:1538). Every packet needs a head buffer from
``napi_alloc_skb()``; frames of up to GOOD_COPY_LEN = 128 bytes are copied into it whole. A ring
buffer is ALIGN(12 + 1518, 64) bytes.
"""

from __future__ import annotations

from reserve_agent.model.profiles.card import Asks, Card, Refill

VIRTIO_NET = Card(
    name="virtio-net",
    measured="6.1.192: deaf from 1/2 of min on, 9 of 9 guests; 6.12.117: from 3/8 on, 1/2 mixed",
    ring=256,
    refill=Refill.OR_DEAF,
    batch=33,
    asks=Asks.NEVER,
    buffer_bytes=1536,
    copies=128,
    needs_small=True,
    retry_ns=500_000_000,
)
