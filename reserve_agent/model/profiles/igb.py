"""igb: always from the reserve, by pages that it uses again. From source, not measured.

IGB_DEFAULT_RXD is 256 and IGB_RX_BUFFER_WRITE 16 (drivers/net/ethernet/intel/igb/igb.h).
``igb_alloc_mapped_page`` is ``dev_alloc_page()``, which always has __GFP_MEMALLOC (skbuff.h:3239).
A packet is built around one half of a page (``igb_build_skb``), and the slot goes on with the other
half unless that is still used or from the reserve (``igb_can_reuse_rx_page``,
``dev_page_is_reusable``). So a reader that reads costs no page at any level. QEMU 7.2 has no igb.
"""

from __future__ import annotations

from reserve_agent.model.profiles.card import Asks, Card, Refill

IGB = Card(
    name="igb",
    ring=256,
    refill=Refill.RECYCLED,
    batch=16,
    asks=Asks.ALWAYS,
    buffer_bytes=4096,
    fragments=False,
)
