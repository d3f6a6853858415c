"""8139cp (QEMU's rtl8139): a fresh buffer for every packet, or the packet is dropped.

CP_RX_RING_SIZE is 64 (drivers/net/ethernet/realtek/8139cp.c). ``cp_rx_poll`` asks
``napi_alloc_skb()`` for a full-size buffer; without one it drops the packet, and its buffer is used
again. A buffer is SKB_DATA_ALIGN(1536 + 64) + 320 bytes (PKT_BUF_SZ).

``cp_tx`` frees by interrupt (``dev_consume_skb_irq``), so that ``net_tx_action`` gives heads of
sent packets to NAPI's cache. Without flags at 1/4 of min 16, 22 and 28 of 30 heartbeats left.
"""

from __future__ import annotations

from reserve_agent.model.profiles.card import Asks, Card, Refill

RTL8139CP = Card(
    name="8139cp",
    measured="6.1.192 and 6.12.117: levels; 0.54 page for 1400 bytes, head included",
    ring=64,
    refill=Refill.EACH,
    asks=Asks.FLAGGED,
    buffer_bytes=1920,
    mute_after=24,
)
