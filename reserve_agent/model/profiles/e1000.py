"""e1000: small frames are copied by the rules, the ring is refilled with plain GFP_ATOMIC.

E1000_DEFAULT_RXD is 256, copybreak 256 and E1000_RX_BUFFER_WRITE 16
(drivers/net/ethernet/intel/e1000). ``e1000_copybreak`` copies frames of up to copybreak bytes into
``napi_alloc_skb()``; without one the ring's buffer becomes the packet. The length that it looks at
has the 4 bytes of the checksum (``e1000_clean_rx_irq`` takes them off later), so that frames of up
to 252 bytes are copied: measured on 6.1.192 by truesize. ``e1000_alloc_frag``
(e1000_main.c:2072) is ``netdev_alloc_frag()``, never with __GFP_MEMALLOC: a flood of longer frames
empties the ring, whatever is flagged. A buffer is SKB_DATA_ALIGN(1522 + 64) + 320 bytes.

``e1000_unmap_and_free_tx_resource`` is ``napi_consume_skb()``: heads of sent packets go to NAPI's
cache. A machine without flags fell silent 16 to 33 datagrams after the last packet that it received
(13 runs), and at 20 ms between heartbeats after 30. The ring's buffers have no heads that would be
free once it is empty, as those of e1000e have.
"""

from __future__ import annotations

from reserve_agent.model.profiles.card import Asks, Card, Refill

E1000 = Card(
    name="e1000",
    measured="6.1.192 and 6.12.117: levels; without flags 256 packets pass at 1/4 of min",
    ring=256,
    refill=Refill.BATCH,
    batch=16,
    asks=Asks.NEVER,
    buffer_bytes=1920,
    copies=252,
    mute_after=24,
)
