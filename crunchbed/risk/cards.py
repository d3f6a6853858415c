"""Which drivers of network cards let a receive buffer come from the reserve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from crunchbed.risk.reading import LINUX_6_1, LINUX_6_12, Reading, linux, reading_for

Asks = Literal["always", "flagged", "small", "never"]
"""When a driver asks for receive buffers with ``__GFP_MEMALLOC``.

``always``: by ``dev_alloc_page``, whether or not there is a memalloc socket. ``flagged``: by
``netdev_alloc_skb`` or ``napi_alloc_skb``, while there is one in the kernel. ``small``: as
``flagged`` for packets of at most 256 bytes, which are copied; longer ones take a buffer out of the
card's ring, which is filled up again without. ``never``: no buffer is from below the atomic floor.
"""
ASKS: Final[tuple[Asks, ...]] = get_args(Asks)


@dataclass(frozen=True)
class Card:
    """A driver: its name in sysfs, its cards, the line that gets a receive buffer."""

    driver: str
    what: str
    readings: tuple[Reading, ...]
    note: str = ""

    def reading(self, kernel: str) -> Reading:
        """Return the reading that stands for a running kernel."""
        return reading_for(self.readings, kernel)

    def asks(self, kernel: str) -> Asks:
        """Return when it draws on the reserve."""
        rule = self.reading(kernel).rule
        return next(one for one in ASKS if one == rule)


_ETHERNET = "drivers/net/ethernet/"
_COPY = "napi_alloc_skb("


def _card(  # a row of the table
    driver: str, what: str, asks: Asks, file: str, text: str, lines: tuple[int, int], note: str = ""
) -> Card:
    return Card(driver, what, linux(asks, file, text, *lines), note)


def _intel(driver: str, what: str, file: str, lines: tuple[int, int], note: str = "") -> Card:
    path = f"{_ETHERNET}intel/{driver}/{file}"
    return _card(driver, what, "always", path, "dev_alloc_pages(", lines, note)


_IAVF = f"{_ETHERNET}intel/iavf/iavf_txrx.c"

_CARDS: Final = (
    _intel("igb", "Intel 82575 to I350, QEMU's igb", "igb_main.c", (9005, 9040)),
    _intel("igc", "Intel I225, I226", "igc_main.c", (2150, 2196)),
    _intel("ixgbe", "Intel 82598 to X550", "ixgbe_main.c", (1542, 1567)),
    _intel("ixgbevf", "virtual functions of ixgbe", "ixgbevf_main.c", (620, 619)),
    _intel("i40e", "Intel X710, XL710", "i40e_txrx.c", (1653, 1638)),
    _intel("ice", "Intel E810", "ice_txrx.c", (676, 681)),
    Card(
        "iavf",
        "virtual functions of i40e and ice",
        (
            Reading(LINUX_6_1, "always", _IAVF, 857, "dev_alloc_pages("),
            Reading(LINUX_6_12, "never", _IAVF, 859, "libeth_rx_alloc(&fq, ntu);"),
        ),
        "a page pool since libeth, which asks with plain GFP_ATOMIC",
    ),
    _card(
        *("ena", "Amazon EC2", "always", f"{_ETHERNET}amazon/ena/ena_netdev.c"),
        *("dev_alloc_page();", (991, 509)),
    ),
    _card(
        *("atlantic", "Aquantia AQC", "always", f"{_ETHERNET}aquantia/atlantic/aq_ring.c"),
        *("dev_alloc_pages(order);", (60, 60)),
    ),
    _card(
        *("mlx4_core", "Mellanox ConnectX-3", "always", f"{_ETHERNET}mellanox/mlx4/en_rx.c"),
        *("GFP_ATOMIC | __GFP_MEMALLOC", (558, 561)),
    ),
    _card(
        *("e1000e", "Intel 82571 to I219, QEMU's e1000e", "flagged"),
        *(f"{_ETHERNET}intel/e1000e/netdev.c", "__netdev_alloc_skb_ip_align(", (666, 668)),
    ),
    _card(
        *("8139cp", "QEMU's rtl8139", "flagged", f"{_ETHERNET}realtek/8139cp.c", _COPY),
        (510, 510),
        "a fresh buffer for every packet",
    ),
    _card(
        *("8139too", "Realtek 8139", "flagged", f"{_ETHERNET}realtek/8139too.c", _COPY),
        (2040, 2040),
        "every packet is copied out of a fixed ring",
    ),
    _card(
        *("r8169", "Realtek 8168, 8125", "flagged", f"{_ETHERNET}realtek/r8169_main.c", _COPY),
        (4581, 4682),
        "every packet is copied out of a fixed ring",
    ),
    _card(
        *("vmxnet3", "VMware, QEMU's vmxnet3", "flagged", "drivers/net/vmxnet3/vmxnet3_drv.c"),
        *("netdev_alloc_skb_ip_align(", (1528, 1737)),
        "drops go on after a crunch, for as long as buffers of the crunch are in the ring",
    ),
    _card(
        *("hv_netvsc", "Hyper-V, Azure", "flagged", "drivers/net/hyperv/netvsc_drv.c", _COPY),
        (781, 781),
        "every packet is copied out of a fixed buffer; a virtual function beside it is a card of "
        "its own",
    ),
    _card(
        *("enic", "Cisco VIC", "flagged", f"{_ETHERNET}cisco/enic/enic_main.c"),
        *("netdev_alloc_skb_ip_align(", (1263, 1314)),
    ),
    _card(
        *("macb", "Cadence GEM", "flagged", f"{_ETHERNET}cadence/macb_main.c"),
        *("netdev_alloc_skb(bp->dev, bp->rx_buffer_size)", (1358, 1414)),
    ),
    _card(
        *("pcnet32", "AMD PCnet", "flagged", f"{_ETHERNET}amd/pcnet32.c"),
        *("netdev_alloc_skb(dev, PKT_BUF_SKB);", (1219, 1219)),
        "sending needs a copy with plain GFP_ATOMIC, so block I/O stalls all the same",
    ),
    _card(
        *("e1000", "Intel 82540 to 82547, QEMU's e1000", "small"),
        *(f"{_ETHERNET}intel/e1000/e1000_main.c", "napi_alloc_skb(", (4118, 4115)),
        "the ring: netdev_alloc_frag, :2072 of 6.1.192 and :2069 of 6.12.117",
    ),
    _card(
        *("tg3", "Broadcom BCM57xx", "small", f"{_ETHERNET}broadcom/tg3.c"),
        *("netdev_alloc_skb(tp->dev,", (6907, 6931)),
        "the ring: napi_alloc_frag, :6709 and :6730",
    ),
    _card(
        *("bnx2", "Broadcom NetXtreme II, 1 Gb/s", "small", f"{_ETHERNET}broadcom/bnx2.c"),
        *("netdev_alloc_skb(bp->dev, len + 6);", (3222, 3221)),
        "packets of at most 128 bytes; the ring: kmalloc, :2771 of both",
    ),
    _card(
        *("bnxt_en", "Broadcom NetXtreme-C and -E", "small"),
        *(f"{_ETHERNET}broadcom/bnxt/bnxt.c", "napi_alloc_skb(&bnapi->napi, len);", (1260, 1334)),
        "the ring: napi_alloc_frag, :784 of 6.1.192; a page pool, :900 of 6.12.117",
    ),
    _card(
        *("bnx2x", "Broadcom NetXtreme II, 10 Gb/s", "never"),
        *(f"{_ETHERNET}broadcom/bnx2x/bnx2x_cmn.c", "napi_alloc_frag(", (691, 703)),
        "with an MTU over 1500 packets of at most 92 bytes are copied as by `small`",
    ),
    _card(
        *("mlx5_core", "Mellanox ConnectX-4 on", "never"),
        *(f"{_ETHERNET}mellanox/mlx5/core/en_rx.c", "page_pool_dev_alloc_pages(", (280, 281)),
        "a page pool asks with plain GFP_ATOMIC",
    ),
    _card(
        *("mana", "Azure", "never", f"{_ETHERNET}microsoft/mana/mana_en.c"),
        *("page_pool_dev_alloc_pages(", (1625, 1634)),
        "a page pool asks with plain GFP_ATOMIC",
    ),
    _card(
        *("sfc", "Solarflare", "never", f"{_ETHERNET}sfc/rx_common.c"),
        *("(atomic ? GFP_ATOMIC : GFP_KERNEL),", (383, 387)),
    ),
    _card(
        *("qede", "QLogic FastLinQ", "never", f"{_ETHERNET}qlogic/qede/qede_fp.c"),
        *("alloc_pages(GFP_ATOMIC, 0);", (44, 44)),
    ),
    _card(
        *("virtio_net", "KVM, Google Cloud", "never", "drivers/net/virtio_net.c"),
        *("skb_page_frag_refill(len + room, alloc_frag, gfp)", (1453, 2590)),
        "one refill that fails turns receiving off until memory is back",
    ),
    _card(
        *("vif", "Xen (xen-netfront)", "never", "drivers/net/xen-netfront.c"),
        *("page_pool_alloc_pages(", (281, 281)),
        "a page pool asks with plain GFP_ATOMIC",
    ),
)

CARDS: Final = {one.driver: one for one in _CARDS}
"""By the name of the driver in sysfs."""
