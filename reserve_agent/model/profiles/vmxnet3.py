"""vmxnet3: a fresh buffer for every packet, or the packet is dropped; drops come a ring later.

VMXNET3_DEF_RX_RING_SIZE is 1024 (drivers/net/vmxnet3/vmxnet3_int.h). ``vmxnet3_rq_rx_complete``
asks ``netdev_alloc_skb_ip_align()`` for a buffer; without one it drops the packet, and its buffer
is used again. A buffer is SKB_DATA_ALIGN(1500 + 22 + 64) + 320 bytes.

Two measurements follow from these sizes. A packet carries the mark of the buffer that was in its
slot: with block I/O flagged at 1/4 of min, heartbeats were received for all of 1.5 s (some 1,035
packets), and then dropped for 1.5 to 1.7 s. And 17 buffers fit an order-3 fragment, while single
pages hold 2 each, so that a turn of the ring in a crunch takes one page for 34 packets, 30 in all:
the level fell by 36 to 46 pages, with the other cards by 10 to 14.
"""

from __future__ import annotations

from reserve_agent.model.profiles.card import Asks, Card, Refill

VMXNET3 = Card(
    name="vmxnet3",
    measured="6.1.192 and 6.12.117: levels; late drops 1.5 to 1.7 s after 1.5 s at 1/4 of min",
    ring=1024,
    refill=Refill.EACH,
    asks=Asks.FLAGGED,
    buffer_bytes=1920,
)
