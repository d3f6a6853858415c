"""e1000e: small frames are copied, the ring is refilled by the rules.

E1000_DEFAULT_RXD is 256, copybreak 256 and E1000_RX_BUFFER_WRITE 16
(drivers/net/ethernet/intel/e1000e). ``e1000_clean_rx_irq`` copies frames shorter than copybreak
into ``napi_alloc_skb()``; without one it goes on with the ring's buffer. ``e1000_alloc_rx_buffers``
fills by ``__netdev_alloc_skb_ip_align()``. A buffer is SKB_DATA_ALIGN(1522 + 64) + 320 bytes.
"""

from __future__ import annotations

from reserve_agent.model.profiles.card import Asks, Card, Refill

E1000E = Card(
    name="e1000e",
    measured="6.1.192 and 6.12.117: levels; without flags 256 packets pass at 1/4 of min",
    ring=256,
    refill=Refill.BATCH,
    batch=16,
    asks=Asks.FLAGGED,
    buffer_bytes=1920,
    copies=255,
)
